"""Samples: real inputs with labels or target values, and the reference outputs of the model."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tokenize import TokenError

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import new_sha256, read_bytes, write_atomic, zip_entry

Array = NDArray[np.generic]
Feed = dict[str, Array]
"""Input (or output) arrays by name."""

LABEL = "label"
TARGET = "target:"
_EXPECTED = "expected:"
_NOISE = "noise:"
# A zip stores the length of a name in two bytes.
_LONGEST_NAME = 60_000
# What numpy raises for an .npy with a damaged header, which it reads as Python source.
_BROKEN_NPY = (
    ValueError,
    EOFError,
    OSError,
    SyntaxError,
    TokenError,
    TypeError,
    IndexError,
    OverflowError,
    RecursionError,
    MemoryError,
)
_INPUT = "input:"
MAX_FILE_BYTES = 4 << 30


@dataclass(frozen=True)
class Samples:
    """S samples; row i of every array belongs to sample i.

    `inputs` and `expected` (the outputs of the reference) are `{name: (S, ...)}`. `labels` are class indices of shape
    (S,); `targets` are the true values of each output, (S, ...), those of the first output if it has no name. `noise`
    is `{name: (R, ...)}`: how far the reference is from itself, element by element, when it computes the first R of the
    samples another way.
    """

    inputs: Feed
    labels: NDArray[np.int64] | None = None
    targets: Feed = field(default_factory=dict)
    expected: Feed = field(default_factory=dict)
    noise: Feed = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, rows: Sequence[int] | NDArray[np.int64] | slice) -> Samples:
        """The samples at `rows`, in that order."""
        index = rows if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        labels = None if self.labels is None else self.labels[index]
        inputs, targets, expected = (_rows(feed, index) for feed in (self.inputs, self.targets, self.expected))
        return Samples(inputs, labels, targets, expected, self._noise_of(np.arange(len(self))[index]))

    def _noise_of(self, rows: NDArray[np.int64]) -> Feed:
        """The noise of the first of `rows`, up to the first that was not measured."""
        found = {}
        for name, array in self.noise.items():
            unknown = np.flatnonzero(rows >= len(array))
            found[name] = array[rows[: unknown[0]] if len(unknown) else rows]
        return {name: array for name, array in found.items() if len(array)}

    def with_expected(self, expected: Feed, noise: Feed | None = None) -> Samples:
        """The same samples with these reference outputs, and the deviations of the first of them.

        Targets without a name become those of the first output, in its shape if they have as many values.
        """
        targets = dict(self.targets)
        if "" in targets and expected:
            (first, output), given = next(iter(expected.items())), targets.pop("")
            targets[first] = given.reshape(output.shape) if given.size == output.size else given
        return replace(self, targets=targets, expected=expected, noise=noise or {})

    @property
    def is_labelled(self) -> bool:
        """True if accuracy or error can be computed."""
        return self.labels is not None or bool(self.targets)

    def digest(self) -> str:
        """The sha256 of the inputs: it identifies the samples, whatever file they came from."""
        whole = new_sha256(sum(array.nbytes for array in self.inputs.values()))
        for name in sorted(self.inputs):
            array = self.inputs[name]
            whole.update(f"{name}:{array.dtype}:{array.shape}".encode())
            whole.update(array.tobytes())
        return str(whole.hexdigest())

    def save(self, path: Path) -> None:
        """Write an .npz without pickles, completely or not at all."""
        arrays = {f"{_INPUT}{name}": array for name, array in self.inputs.items()}
        arrays |= {f"{TARGET}{name}": array for name, array in self.targets.items()}
        arrays |= {f"{_EXPECTED}{name}": array for name, array in self.expected.items()}
        arrays |= {f"{_NOISE}{name}": array for name, array in self.noise.items()}
        if self.labels is not None:
            arrays[LABEL] = self.labels
        write_arrays(path, arrays)

    @classmethod
    def load(cls, path: Path, error: type[EdgekitError] = UserError, spec: ModelSpec | None = None) -> Samples:
        """Samples written by `save`, for the model of `spec`.

        Raises:
            error: As in `read_arrays`; there is no input, an array has no axis for the samples, the arrays differ in
                their number, the labels are not one number each, or an input or output of the model is missing.
        """
        arrays = read_arrays(path, error)
        labels = arrays.get(LABEL)
        inputs = part_of(arrays, _INPUT)
        if wrong := _wrong_with(arrays, inputs):
            raise error(f"'{path}' does not contain samples: {wrong}.")
        expected = part_of(arrays, _EXPECTED)
        for tensors, found in ((spec.inputs, inputs), (spec.outputs, expected)) if spec else ():
            missing = [tensor.name for tensor in tensors if found and tensor.name not in found]
            if missing:
                raise error(f"'{path}' does not contain samples of this model: '{missing[0]}' is missing.")
        return cls(
            inputs,
            None if labels is None else labels.astype(np.int64),
            part_of(arrays, TARGET),
            expected,
            part_of(arrays, _NOISE),
        )


class SplitFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the samples were split; part of every report. Digests are the sha256 of the inputs."""

    source: str
    total: int
    calibration: int
    evaluation: int
    seed: int
    calibration_digest: str
    evaluation_digest: str
    labelled: bool


@dataclass(frozen=True)
class Split:
    """Samples split into a calibration part and an evaluation part that never overlap."""

    calibration: Samples
    evaluation: Samples
    seed: int = 0

    def facts(self, source: str) -> SplitFacts:
        """The record of this split."""
        return SplitFacts(
            source,
            len(self.calibration) + len(self.evaluation),
            len(self.calibration),
            len(self.evaluation),
            self.seed,
            self.calibration.digest(),
            self.evaluation.digest(),
            self.evaluation.is_labelled,
        )


def split(samples: Samples, *, calibration: int, seed: int = 0) -> Split:
    """Split `samples` by content: a sample and its copies are always in the same part, whatever their order.

    Args:
        calibration: Number of distinct samples for calibration; at most half of all.

    Raises:
        UserError: Fewer than two distinct samples.
    """
    ranks = [_rank(samples, row, seed) for row in range(len(samples))]
    distinct = sorted(set(ranks))
    if len(distinct) < 2:
        raise UserError(
            f"Splitting into calibration and evaluation needs at least 2 different samples, got {len(distinct)}."
        )
    chosen = set(distinct[: max(1, min(calibration, len(distinct) // 2))])
    inside = [row for row, rank in enumerate(ranks) if rank in chosen]
    outside = [row for row, rank in enumerate(ranks) if rank not in chosen]
    return Split(samples.take(inside), samples.take(outside), seed)


def _rank(samples: Samples, row: int, seed: int) -> str:
    digest = new_sha256()
    digest.update(str(seed).encode())
    for name in sorted(samples.inputs):
        digest.update(samples.inputs[name][row].tobytes())
    return str(digest.hexdigest())


def read_arrays(path: Path, error: type[EdgekitError]) -> Feed:
    """All arrays of an .npz, read without pickles.

    Raises:
        error: The file does not exist, is not an .npz, or contains an array of Python objects.
    """
    import zipfile  # loading a model alone needs none

    data = read_bytes(path, error)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        arrays = _plain_arrays(data) if total <= MAX_FILE_BYTES else None
    # A damaged file makes zipfile, zlib and numpy raise a dozen unrelated classes, MemoryError among them.
    except Exception as err:
        raise error(f"'{path}' is not an .npz of plain arrays: {err}.", hint="numpy.savez(FILE, NAME=array)") from err
    if arrays is None:
        raise error(f"'{path}' unpacks to {total} bytes; the limit is {MAX_FILE_BYTES}.")
    return arrays


def read_outputs(path: Path, feeds: int, names: Iterable[str], error: type[EdgekitError]) -> list[Feed]:
    """The outputs of each feed, from an .npz with arrays called `INDEX:OUTPUT`.

    Args:
        names: Outputs that each feed must have.

    Raises:
        error: As in `read_arrays`; a name is not of this form, or one is missing.
    """
    found: list[Feed] = [{} for _ in range(feeds)]
    places = {str(place): outputs for place, outputs in enumerate(found)}
    for key, array in read_arrays(path, error).items():
        place, _, name = key.partition(":")
        if place not in places:
            raise error(f"There is no input for the output '{key}': there are {feeds}.")
        places[place][name] = array
    for name in names:
        if not all(name in outputs for outputs in found):
            raise error(f"The device returned no output '{name}'.")
    return found


def _plain_arrays(data: bytes) -> Feed:
    with np.load(io.BytesIO(data), allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    for name, array in arrays.items():
        # numpy returns a member that is not an array as bytes.
        if not isinstance(array, np.ndarray):
            raise TypeError(f"'{name}' is not an array")
        _refuse_endless(array)
    return arrays


def read_array(path: Path) -> Array:
    """The array of an .npy, read without pickles.

    Raises:
        UserError: The file does not exist, is not an .npy, or contains Python objects.
    """
    data = read_bytes(path)
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise UserError(f"'{path}' is not an .npy, but an .npz.", hint="Rename it to end in .npz.")
        _refuse_endless(found)
    except _BROKEN_NPY as err:
        raise UserError(
            f"'{path}' is not an .npy file of plain numbers: {err}.", hint="numpy.save(FILE, array)"
        ) from err
    return found


def _refuse_endless(array: Array) -> None:
    """Raise for an array without values whose other axes no copy of it can have."""
    if math.prod(axis or 1 for axis in array.shape) > MAX_FILE_BYTES:
        raise ValueError(f"it has the shape {array.shape}")


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays as .npz, completely or not at all; the same arrays give the same bytes."""
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in sorted(arrays.items()):
            if len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
                raise UserError(f"An array with a name of {len(name)} characters cannot be stored.")
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zip_entry(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    write_atomic(path, buffer.getvalue())


def _wrong_with(arrays: Feed, inputs: Feed) -> str:
    """Why the arrays of a file are not samples; empty if they are."""
    flat = [name for name, array in arrays.items() if array.ndim == 0]
    if flat:
        return f"'{flat[0]}' is one value"
    if len({len(array) for array in inputs.values()}) != 1:
        return "the inputs have no common number of samples"
    count = len(next(iter(inputs.values())))
    for name, array in arrays.items():
        # Noise is that of the first samples.
        if name.startswith((LABEL, TARGET, _EXPECTED)) and len(array) != count:
            return f"'{name}' has {len(array)} rows for {count} samples"
    labels = arrays.get(LABEL)
    if labels is None:
        return ""
    if labels.ndim > 1:
        return f"its labels have the shape {labels.shape}, not one number each"
    is_number = labels.dtype.kind in "biuf" and np.isfinite(labels).all()
    return "" if is_number else "its labels are not numbers"


def _rows(feed: Feed, index: slice | NDArray[np.int64]) -> Feed:
    return {name: array[index] for name, array in feed.items()}


def part_of(arrays: Feed, prefix: str) -> Feed:
    """The arrays whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
