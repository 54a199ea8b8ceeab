"""Signatures of a TFLite file: its fixed-shape entry points, the dynamic axes they offer, and which one to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.spec.tensor_spec import Axis, TensorSpec

if TYPE_CHECKING:
    from edgekit.core.samples import Array

# No sizes of an axis: those of all signatures are at least 0.
_BATCH: Final = (-1,)


@dataclass(frozen=True)
class TensorEntry:
    """One input or output of one signature, as in the file.

    `scale` is 0 if the tensor is not quantized; a quantized value is `(stored - zero_point) * scale`. `free` are the
    places of the axes that take any size; `shape` has an example of them.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0
    free: tuple[int, ...] = ()

    @property
    def is_quantized(self) -> bool:
        """True if callers may use float32 instead of the stored integers."""
        return self.scale > 0


@dataclass(frozen=True)
class SignatureEntry:
    """One signature: its name ("" in a file without), its subgraph, its tensors in order."""

    name: str
    subgraph: int
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]

    @cached_property
    def is_resizable(self) -> bool:
        """True if an input has an axis of any size."""
        return any(tensor.free for tensor in self.inputs)


@dataclass(frozen=True)
class Family:
    """All signatures of one file and the dynamic axes in which they differ, or which they leave free.

    `inputs` and `outputs` are as callers see them: dynamic axes by name, float32 for quantized tensors.
    """

    entries: tuple[SignatureEntry, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sizes: tuple[dict[str, int], ...] = field(default=())

    @cached_property
    def batch(self) -> str | None:
        """The first axis of every input if it is dynamic and the same, else None."""
        first = {tensor.shape[0] if tensor.shape else None for tensor in self.inputs}
        axis = next(iter(first)) if len(first) == 1 else None
        return axis if isinstance(axis, str) else None

    @cached_property
    def can_split(self) -> bool:
        """True if the outputs of several runs can be joined along the batch."""
        return self.batch is not None and all(t.shape.count(self.batch) == 1 for t in self.outputs)

    def can_pad(self, axis: str) -> bool:
        """True if every input with this axis has a padding value, and every output shows how it depends on the axis."""
        known = {name for tensor in self.inputs for name in tensor.free_axes}
        padded = all(tensor.padding is not None for tensor in self.inputs if axis in tensor.shape)
        return padded and all(name in known for tensor in self.outputs for name in tensor.free_axes)

    def fitting(self, sizes: Mapping[str, int]) -> SignatureEntry | None:
        """The smallest signature that fits `sizes`, exactly or padded; None if there is none."""
        fits = [place for place in range(len(self.entries)) if self._takes(self.sizes[place], sizes)]
        return self.entries[min(fits, key=lambda place: _volume(self.sizes[place]))] if fits else None

    def chunks(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Batches to run one after the other, as few as possible, the last one padded if needed; () if impossible."""
        batch = self.batch
        if batch is None or not self.can_split or any(batch not in has for has in self.sizes):
            return ()
        fits = {has[batch] for has in self.sizes if self._takes(has, {**sizes, batch: has[batch]})}
        offered = tuple(sorted(size for size in fits if size > 0))
        cover = exact_cover(sizes[batch], offered)
        may_pad = offered and self.can_pad(batch)
        return cover or (_padded_cover(sizes[batch], offered) if may_pad else ())

    def offered(self) -> str:
        """The sizes of every signature, for messages."""
        return "; ".join(", ".join(f"{axis}={size}" for axis, size in each.items()) for each in self.sizes)

    def _takes(self, has: Mapping[str, int], wants: Mapping[str, int]) -> bool:
        return all(wants[axis] == size or (wants[axis] < size and self.can_pad(axis)) for axis, size in has.items())


@lru_cache(maxsize=1024)
def exact_cover(total: int, offered: tuple[int, ...]) -> tuple[int, ...]:
    """The fewest numbers out of `offered` that add up to `total`, largest first; empty if none do."""
    best: list[int | None] = [0]
    last = [0]
    for amount in range(1, total + 1):
        options = [(best[amount - size], size) for size in offered if size <= amount]
        reachable = [(count + 1, size) for count, size in options if count is not None]
        count, size = min(reachable, default=(None, 0))
        best.append(count)
        last.append(size)
    if best[total] is None:
        return ()
    cover = []
    while total:
        cover.append(last[total])
        total -= last[total]
    return tuple(sorted(cover, reverse=True))


def _padded_cover(total: int, offered: Sequence[int]) -> tuple[int, ...]:
    full, rest = divmod(total, max(offered))
    end = [min(size for size in offered if size >= rest)] if rest else []
    return (*[max(offered)] * full, *end)


def _volume(sizes: Mapping[str, int]) -> int:
    volume = 1
    for size in sizes.values():
        volume *= size
    return volume


def family_of(entries: Iterable[SignatureEntry], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Family:
    """The family of `entries`; axes are named by the given specs, or by where they differ.

    Args:
        inputs: Tensors of the ModelSpec by name; empty if there is no spec.
        outputs: The same for outputs.
    """
    entries = tuple(entries)
    names: dict[tuple[int, ...], str] = {}
    read = tuple(_described(entries, place, inputs, names) for place in range(len(entries[0].inputs)))
    family = Family(entries, read, ())
    batch = family.batch
    sizes = tuple(_sizes(entry, read) for entry in entries)
    batches = [entry.inputs[0].shape[0] if batch else 1 for entry in entries]
    written = tuple(
        _described_output(entries, place, outputs, names, batch, batches) for place in range(len(entries[0].outputs))
    )
    return Family(entries, read, written, sizes)


def _described(
    entries: Sequence[SignatureEntry], place: int, specs: Sequence[TensorSpec], names: dict[tuple[int, ...], str]
) -> TensorSpec:
    first = entries[0].inputs[place]
    spec = _named(first, specs)
    columns = list(zip(*(entry.inputs[place].shape for entry in entries), strict=True))
    shape = [
        _axis(column, spec, position, names, first.name, is_free=_is_free(entries, position, place=place))
        for position, column in enumerate(columns)
    ]
    return _tensor(first, tuple(shape), spec)


def _described_output(
    entries: Sequence[SignatureEntry],
    place: int,
    specs: Sequence[TensorSpec],
    names: dict[tuple[int, ...], str],
    batch: str | None,
    batches: Sequence[int],
) -> TensorSpec:
    first = entries[0].outputs[place]
    spec = _named(first, specs)
    columns = list(zip(*(entry.outputs[place].shape for entry in entries), strict=True))
    shape: list[Axis] = [_axis(column, spec, position, names, first.name) for position, column in enumerate(columns)]
    for position in first.free if spec is None else ():
        shape[position] = f"{first.name}.{position}"
    # Without a spec for the output, a first axis as long as the batch in every signature is the batch.
    if spec is None and batch and columns and all(n == one for n, one in zip(columns[0], batches, strict=True)):
        shape[0] = batch
    return _tensor(first, tuple(shape), spec)


def _axis(
    column: tuple[int, ...],
    spec: TensorSpec | None,
    position: int,
    names: dict[tuple[int, ...], str],
    tensor: str,
    *,
    is_free: bool = False,
) -> Axis:
    """The axis whose sizes over all signatures are `column`: named by the spec, else where it varies or is free."""
    if is_free and spec is None:
        # Inputs share a free first axis, the batch; others may differ.
        return f"{tensor}.{position}" if position else names.setdefault(_BATCH, f"{tensor}.0")
    if spec is not None and isinstance(spec.shape[position], str):
        names.setdefault(column, str(spec.shape[position]))
        return spec.shape[position]
    if len(set(column)) == 1:
        return column[0]
    return names.setdefault(column, f"{tensor}.{position}")


def _is_free(entries: Sequence[SignatureEntry], position: int, *, place: int) -> bool:
    return any(position in entry.inputs[place].free for entry in entries)


def _named(tensor: TensorEntry, specs: Sequence[TensorSpec]) -> TensorSpec | None:
    return next((s for s in specs if s.name == tensor.name and len(s.shape) == len(tensor.shape)), None)


def _tensor(entry: TensorEntry, shape: tuple[Axis, ...], spec: TensorSpec | None) -> TensorSpec:
    dtype = "float32" if entry.is_quantized else entry.dtype
    if spec is None:
        return TensorSpec(entry.name, dtype, shape)
    wide = spec.dtype if (spec.dtype, dtype) == ("int64", "int32") else dtype
    return TensorSpec(entry.name, wide, shape, spec.low, spec.high, spec.padding)


def _sizes(entry: SignatureEntry, inputs: Sequence[TensorSpec]) -> dict[str, int]:
    """The size of every free axis in one signature."""
    return {
        axis: size
        for tensor, spec in zip(entry.inputs, inputs, strict=True)
        for position, (axis, size) in enumerate(zip(spec.shape, tensor.shape, strict=True))
        if isinstance(axis, str) and position not in tensor.free
    }


def row_ranges(chunks: Sequence[int], total: int) -> Iterator[slice]:
    """The rows of each chunk of a batch of `total` rows."""
    start = 0
    for size in chunks:
        yield slice(start, min(start + size, total))
        start += size


def padded(array: Array, tensor: TensorEntry, spec: TensorSpec) -> Array:
    """`array` in the shape of the signature, filled up at the end of each axis."""
    if array.shape == tensor.shape:
        return array
    widths = [(0, wanted - size) for wanted, size in zip(tensor.shape, array.shape, strict=True)]
    return np.pad(array, widths, constant_values=spec.padding or 0)


def cut_back(array: Array, spec: TensorSpec, sizes: Mapping[str, int]) -> Array:
    """`array` without what padding added.

    Raises:
        ValueError: It has not the axes that the model states.
    """
    if array.ndim != len(spec.shape):
        raise ValueError(f"output '{spec.name}' has {array.ndim} axes; the model states {len(spec.shape)}.")
    rows = tuple(slice(sizes.get(axis)) if isinstance(axis, str) else slice(None) for axis in spec.shape)
    cut = array[rows]
    return array if cut.shape == array.shape else np.ascontiguousarray(cut)
