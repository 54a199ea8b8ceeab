"""Cases: inputs of other batch sizes and lengths than the samples, with PyTorch's outputs for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from edgekit.core.errors import BundleUnreadable, EdgekitError
from edgekit.core.samples import Array, Feed, Samples, read_arrays, write_arrays
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.checking.meanings import ids, masks, with_both_marks
from edgekit.export.shapes.calibration import fitted
from edgekit.export.shapes.lengths import LENGTHS, lengths, sizes_of_samples
from edgekit.export.shapes.signatures import signatures_of

BATCHES: Final = (1, 2, 5)
EXTREMES: Final = ("zeros", "low", "high")
_TABLE: Final = "cases"


@dataclass(frozen=True)
class Case:
    """One feed with its expected outputs.

    `sizes` are those of the dynamic axes, `rows` is the number of samples in the feed. Row i of the feed is row i of
    the evaluation samples, cut to `sizes`; the cases named in EXTREMES contain zeros, or the limits of the inputs'
    range. `noise` is how far each element of `expected` is from itself when PyTorch computes it another way.
    """

    name: str
    sizes: dict[str, int]
    feed: Feed
    expected: Feed = field(default_factory=dict)
    rows: int = 1
    noise: Feed = field(default_factory=dict)

    @property
    def is_extreme(self) -> bool:
        """True for synthetic inputs: no real sample looks like this."""
        return self.name in EXTREMES

    def with_expected(self, expected: Feed, noise: Feed) -> Case:
        """The same case with these outputs, and their deviations."""
        return replace(self, expected=expected, noise=noise)


def make_cases(samples: Samples, spec: ModelSpec) -> tuple[Case, ...]:
    """Cases from real samples: batches 1, 2 and 5, several shorter lengths of every other dynamic axis, every
    signature's sizes, and extreme inputs. `expected` is empty; `worth_keeping` selects among them."""
    whole = sizes_of_samples(samples, spec)
    cases = {tuple(sorted(sizes.items())): sizes for sizes in _all_sizes(whole, spec)}
    made = [
        Case(_name(sizes), dict(sizes), _feed(samples, spec, sizes), rows=_rows(sizes, spec))
        for sizes in cases.values()
    ]
    return (*made, *_extremes(samples, spec, whole))


def _rows(sizes: Mapping[str, int], spec: ModelSpec) -> int:
    return sizes[spec.batch_axis] if spec.batch_axis else 1


def save_cases(path: Path, cases: Iterable[Case]) -> None:
    """Write cases as .npz without pickles."""
    table: list[dict[str, object]] = []
    arrays: Feed = {}
    for index, case in enumerate(cases):
        table.append({"name": case.name, "sizes": case.sizes, "rows": case.rows})
        arrays |= {f"{index}:input:{name}": array for name, array in case.feed.items()}
        arrays |= {f"{index}:expected:{name}": array for name, array in case.expected.items()}
        arrays |= {f"{index}:noise:{name}": array for name, array in case.noise.items()}
    arrays[_TABLE] = np.frombuffer(json.dumps(table).encode(), np.uint8)
    write_arrays(path, arrays)


def load_cases(path: Path, error: type[EdgekitError] = BundleUnreadable) -> tuple[Case, ...]:
    """Cases written by `save_cases`."""
    arrays = read_arrays(path, error)
    try:
        table = json.loads(arrays.pop(_TABLE).tobytes())
        return tuple(
            Case(
                str(entry["name"]),
                {str(axis): int(size) for axis, size in entry["sizes"].items()},
                _part(arrays, index, "input"),
                _part(arrays, index, "expected"),
                int(entry["rows"]),
                _part(arrays, index, "noise"),
            )
            for index, entry in enumerate(table)
        )
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as err:
        raise error(f"'{path}' does not contain valid parity cases: {err}.") from err


def _all_sizes(whole: Mapping[str, int], spec: ModelSpec) -> Iterator[dict[str, int]]:
    batch = spec.batch_axis
    base = {batch: 2, **whole} if batch else dict(whole)
    if batch is None:
        yield base
    else:
        yield from ({**base, batch: size} for size in BATCHES)
    for axis, size in whole.items():
        for length in lengths(size, spec, axis):
            yield {**base, axis: length}
    yield from (dict(signature.sizes) for signature in signatures_of(spec) if signature.sizes)


def worth_keeping(cases: Iterable[Case], samples: Samples, spec: ModelSpec) -> tuple[Case, ...]:
    """The cases to judge among those that PyTorch ran.

    Lengths of an axis beyond the first two are dropped unless a signature has them. So are synthetic inputs for which
    PyTorch itself returns values that are not finite: backends differ there, and none is wrong.
    """
    whole = sizes_of_samples(samples, spec)
    signatures = {tuple(sorted(signature.sizes.items())) for signature in signatures_of(spec)}
    seen: dict[str, int] = {}
    kept = []
    for case in cases:
        if case.is_extreme and not all(_is_finite(array) for array in case.expected.values()):
            continue
        shorter = [axis for axis, size in whole.items() if case.sizes.get(axis) != size]
        if len(shorter) == 1 and tuple(sorted(case.sizes.items())) not in signatures:
            seen[shorter[0]] = seen.get(shorter[0], 0) + 1
            if seen[shorter[0]] > LENGTHS:
                continue
        kept.append(case)
    return tuple(kept)


def _is_finite(array: Array) -> bool:
    return array.dtype.kind == "U" or bool(np.isfinite(array).all())


def _feed(samples: Samples, spec: ModelSpec, sizes: Mapping[str, int]) -> Feed:
    batch = spec.batch_axis
    rows = np.arange(sizes[batch] if batch else 1) % len(samples)
    arrays = {name: array[rows] if batch else array[0] for name, array in samples.inputs.items()}
    feed = {tensor.name: fitted(arrays[tensor.name], tensor, sizes) for tensor in spec.inputs}
    return with_both_marks(feed, arrays, masks(samples, spec))


def _extremes(samples: Samples, spec: ModelSpec, whole: Mapping[str, int]) -> Iterator[Case]:
    if any(tensor.dtype == "str" for tensor in spec.inputs):
        return  # text has no limits
    sizes = {spec.batch_axis: 1, **whole} if spec.batch_axis else dict(whole)
    real, kept = _feed(samples, spec, sizes), masks(samples, spec) | ids(spec)
    seen: list[Feed] = []
    for name in EXTREMES:
        feed = {
            tensor.name: real[tensor.name] if tensor.name in kept else _filled(name, tensor, samples, sizes)
            for tensor in spec.inputs
        }
        if not any(all(np.array_equal(feed[key], other[key]) for key in feed) for other in (real, *seen)):
            seen.append(feed)
            yield Case(name, dict(sizes), feed)


def _filled(name: str, tensor: TensorSpec, samples: Samples, sizes: Mapping[str, int]) -> Array:
    """One value everywhere, for integers one of those that the samples have."""
    array = samples.inputs[tensor.name]
    low = float(array.min()) if tensor.low is None else tensor.low
    high = float(array.max()) if tensor.high is None else tensor.high
    is_bound = tensor.low is not None or array.dtype.kind != "f"
    value = {"zeros": min(max(0.0, low), high) if is_bound else 0.0, "low": low, "high": high}[name]
    return np.full(tensor.concrete(sizes), value, dtype=tensor.dtype)


def _name(sizes: Mapping[str, int]) -> str:
    return " ".join(f"{axis}={size}" for axis, size in sizes.items()) or "one sample"


def _part(arrays: Feed, index: int, kind: str) -> Feed:
    prefix = f"{index}:{kind}:"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
