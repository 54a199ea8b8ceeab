"""Samples: real inputs with labels or target values, and the reference outputs of the model."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import EdgekitError, UserError, nearest
from edgekit.core.spec import ModelSpec, TensorSpec
from edgekit.core.system.files import new_sha256, read_bytes, write_atomic, zip_entry

Array = NDArray[np.generic]
Feed = dict[str, Array]
"""Input (or output) arrays by name."""

LABEL = "label"
_TARGET = "target:"
_EXPECTED = "expected:"
_NOISE = "noise:"
_INPUT = "input:"
MAX_FILE_BYTES = 4 << 30


@dataclass(frozen=True)
class Samples:
    """S samples; row i of every array belongs to sample i.

    `inputs` and `expected` (the outputs of the reference) are `{name: (S, ...)}`. `labels` are class indices of shape
    (S,); `targets` are the true values of each output, (S, ...). `noise` is `{name: (R, ...)}`: how far the reference
    is from itself, element by element, when it computes the first R of the samples another way.
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
        """The same samples with these reference outputs, and the deviations of the first of them."""
        return replace(self, expected=expected, noise=noise or {})

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
        arrays |= {f"{_TARGET}{name}": array for name, array in self.targets.items()}
        arrays |= {f"{_EXPECTED}{name}": array for name, array in self.expected.items()}
        arrays |= {f"{_NOISE}{name}": array for name, array in self.noise.items()}
        if self.labels is not None:
            arrays[LABEL] = self.labels
        write_arrays(path, arrays)

    @classmethod
    def load(cls, path: Path, error: type[EdgekitError] = UserError) -> Samples:
        """Samples written by `save`."""
        arrays = read_arrays(path, error)
        labels = arrays.get(LABEL)
        return cls(
            _part(arrays, _INPUT),
            None if labels is None else labels.astype(np.int64),
            _part(arrays, _TARGET),
            _part(arrays, _EXPECTED),
            _part(arrays, _NOISE),
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


def read_user_samples(path: Path, spec: ModelSpec, values_of: Callable[[Array, str], Array] | None = None) -> Samples:
    """Samples from a user's .npz: one array per input name; optionally `label`, or `target:OUTPUT` arrays.

    Args:
        values_of: What an array means that is given for the input of a name, where it is not the values.

    Raises:
        UserError: All problems of the file at once: names, shapes, dtypes, values that are not finite or out of
            range, or no samples.
    """
    arrays = _with_batches_of_one(read_arrays(path, UserError), spec)
    if values_of is not None:
        arrays = {name: values_of(array, name) for name, array in arrays.items()}
    problems = sample_problems(arrays, spec)
    if problems:
        listing = "".join(f"\n  {problem}" for problem in problems)
        wanted = " ".join(f"{tensor.name}=array of {tensor.dtype}" for tensor in spec.inputs)
        raise UserError(
            f"Samples '{path}' do not fit the model:{listing}", hint=f"numpy.savez(FILE, {wanted}, label=...)"
        )
    inputs = {tensor.name: arrays[tensor.name].astype(tensor.dtype, copy=False) for tensor in spec.inputs}
    labels = arrays[LABEL].astype(np.int64) if LABEL in arrays else None
    return Samples(inputs, labels, _part(arrays, _TARGET))


def _with_batches_of_one(arrays: Feed, spec: ModelSpec) -> Feed:
    """Rows of samples for a model with a fixed batch of 1: each gets the axis that it lacks."""
    lacking = {
        tensor.name
        for tensor in spec.inputs
        if spec.batch_axis is None and tensor.shape[:1] == (1,) and _rank_of(arrays, tensor) == len(tensor.shape)
    }
    grown = {name: array[:, None] for name, array in arrays.items() if name in lacking or name.startswith(_TARGET)}
    return {**arrays, **grown} if lacking else arrays


def _rank_of(arrays: Feed, tensor: TensorSpec) -> int | None:
    return arrays[tensor.name].ndim if tensor.name in arrays else None


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


def _plain_arrays(data: bytes) -> Feed:
    with np.load(io.BytesIO(data), allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    for name, array in arrays.items():
        # numpy returns a member that is not an array as bytes.
        if not isinstance(array, np.ndarray):
            raise TypeError(f"'{name}' is not an array")
    return arrays


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays as .npz, completely or not at all; the same arrays give the same bytes."""
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in sorted(arrays.items()):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zip_entry(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    write_atomic(path, buffer.getvalue())


def _rows(feed: Feed, index: slice | NDArray[np.int64]) -> Feed:
    return {name: array[index] for name, array in feed.items()}


def _part(arrays: Feed, prefix: str) -> Feed:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def sample_problems(arrays: Feed, spec: ModelSpec) -> list[str]:
    """Every reason why these arrays are not samples of the model, one sentence each."""
    given = [tensor for tensor in spec.inputs if tensor.name in arrays]
    problems = _name_problems(arrays, spec) + _count_problems(arrays)
    for tensor in given:
        problems += _array_problems(arrays[tensor.name], tensor, spec.batch_axis is not None)
    if problems:
        return problems
    problems = _axis_problems(arrays, spec)
    if LABEL in arrays:
        problems += _label_problems(arrays[LABEL], spec)
    return problems + [problem for name, array in _part(arrays, _TARGET).items() for problem in _target(name, array)]


def _name_problems(arrays: Feed, spec: ModelSpec) -> list[str]:
    names = [tensor.name for tensor in spec.inputs]
    outputs = [tensor.name for tensor in spec.outputs]
    given = [name for name in arrays if name != LABEL and not name.startswith(_TARGET)]
    missing = [f"'{name}' is missing.{nearest(name, given)}" for name in names if name not in arrays]
    extra = [f"'{name}' is not an input of the model.{nearest(name, names)}" for name in given if name not in names]
    targets = [name for name in _part(arrays, _TARGET) if outputs and name not in outputs]
    return missing + extra + [f"'{name}' is not an output of the model.{nearest(name, outputs)}" for name in targets]


def _count_problems(arrays: Feed) -> list[str]:
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if not counts or 0 in counts.values():
        return ["there are no samples."]
    if len(set(counts.values())) > 1:
        return ["sample counts differ: " + ", ".join(f"{name} {count}" for name, count in counts.items()) + "."]
    return []


def _array_problems(array: Array, tensor: TensorSpec, batched: bool) -> list[str]:
    shape = tensor.shape[1:] if batched else tensor.shape
    got = array.shape[1:]
    fits = len(got) == len(shape) and all(
        size > 0 if isinstance(want, str) else want == size for want, size in zip(shape, got, strict=True)
    )
    problems = []
    if not fits:
        problems.append(f"'{tensor.name}' has shape {_text(got)} per sample, expected {_text(shape)}.")
    if not np.can_cast(array.dtype, np.dtype(tensor.dtype), "same_kind"):
        return [*problems, f"'{tensor.name}' has dtype {array.dtype}, expected {tensor.dtype}."]
    return problems + (_finite(tensor.name, array) or _fitting(tensor, array))


def _axis_problems(arrays: Feed, spec: ModelSpec) -> list[str]:
    """Dynamic axes of one name that have different sizes in different inputs."""
    sizes: dict[str, dict[str, int]] = {}
    for tensor in spec.inputs:
        got = arrays[tensor.name].shape[0 if spec.batch_axis else 1 :]
        for axis, size in zip(tensor.shape, got, strict=True):
            if isinstance(axis, str) and axis != spec.batch_axis:
                sizes.setdefault(axis, {})[tensor.name] = size
    differing = {axis: found for axis, found in sizes.items() if len(set(found.values())) > 1}
    return [
        f"axis '{axis}' differs: " + ", ".join(f"{name} {size}" for name, size in found.items()) + "."
        for axis, found in differing.items()
    ]


def _target(name: str, array: Array) -> list[str]:
    if array.dtype.kind not in "fiub":
        return [f"'{_TARGET}{name}' has dtype {array.dtype}, expected numbers."]
    return _finite(f"{_TARGET}{name}", array)


def _finite(name: str, array: Array) -> list[str]:
    if array.ndim == 0 or not np.issubdtype(array.dtype, np.inexact) or np.isfinite(array).all():
        return []
    rows = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return [f"'{name}' contains NaN or infinity, first in sample {int(np.argmin(rows))}."]


def _fitting(tensor: TensorSpec, array: Array) -> list[str]:
    """Values that a narrower dtype would turn into others: 200 as int8 is -56, 1e300 as float32 infinity."""
    if array.ndim == 0 or array.size == 0 or tensor.dtype in ("bool", "str"):
        return []
    limits = np.iinfo(tensor.dtype) if "int" in tensor.dtype else np.finfo(tensor.dtype)
    low, high = array.min(), array.max()
    if limits.min <= low and high <= limits.max:
        return []
    return [f"'{tensor.name}' contains values from {low} to {high}, which {tensor.dtype} cannot represent."]


def _label_problems(labels: Array, spec: ModelSpec) -> list[str]:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        return [
            f"'{LABEL}' must contain one class index per sample, got {labels.dtype} of shape {_text(labels.shape)}."
        ]
    if labels.min() < 0:
        return [f"'{LABEL}' contains a negative class index."]
    if spec.labels and labels.max() >= len(spec.labels):
        return [f"'{LABEL}' contains class {labels.max()}; the model has classes 0 to {len(spec.labels) - 1}."]
    return []


def _text(shape: Sequence[object]) -> str:
    return f"({', '.join(map(str, shape))})"
