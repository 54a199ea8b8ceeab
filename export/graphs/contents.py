"""The contents of a file: operators, weights, the work of one inference, its largest tensors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from edgekit.core.bundle import QuantizedShare
from edgekit.core.reports.bundle import Changed
from edgekit.core.reports.graph import GraphFacts, TensorFacts
from edgekit.core.samples import Array

LARGEST: Final = 5
_WIDE: Final = 4
_BYTE: Final = 8
_METADATA: Final = 2000  # characters of one entry; some hold whole files
_INT8: Final = {"int8", "uint8"}
_INT4: Final = {"int4", "uint4"}


@dataclass(frozen=True)
class Node:
    """One operator; `work` is the number of its multiplications, None if a shape is not known."""

    operator: str
    work: int | None = 0


@dataclass(frozen=True)
class Weight:
    """A constant that an operator reads. `real` holds the values it represents, `stored_bytes` its size in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored_bytes: int
    real: Array


class Multiplying(NamedTuple):
    """An operator that multiplies by weights: `work` multiplications, None if not known; `bits` are those
    of the integers that it multiplies, None for real numbers.
    """

    operator: str
    work: int | None
    bits: int | None


@dataclass(frozen=True)
class Contents:
    """What was read from one file; opsets, signatures and metadata as in GraphFacts."""

    nodes: tuple[Node, ...]
    weights: tuple[Weight, ...]
    tensors: tuple[TensorFacts, ...]
    layers: tuple[Multiplying, ...] = ()
    opsets: Mapping[str, int] = field(default_factory=dict)
    signatures: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        """The precision that the file is made in, by the types of its weights and its quantizing operators."""
        kinds = {one.dtype for one in self.weights}
        if kinds & _INT4:
            return "int4"
        if kinds & _INT8 or any("quantize" in node.operator.lower() for node in self.nodes):
            return "int8"
        return "fp16" if "float16" in kinds else "fp32"

    def facts(self, artifact: str) -> GraphFacts:
        """The figures of these contents."""
        works = [node.work for node in self.nodes]
        every = [*self.tensors, *(_as_tensor(one) for one in self.weights)]
        wide = sum(_WIDE * one.real.size for one in self.weights)
        small = sum(_WIDE * one.real.size for one in self.weights if one.stored_bytes <= one.real.size)
        return GraphFacts(
            artifact=artifact,
            operators=dict(Counter(node.operator for node in self.nodes).most_common()),
            parameters=sum(one.real.size for one in self.weights),
            macs=None if None in works else sum(work for work in works if work),
            weight_bytes=sum(one.stored_bytes for one in self.weights),
            quantized_share=small / wide if wide else None,
            largest=tuple(sorted(every, key=lambda one: -one.size_bytes)[:LARGEST]),
            left_float=self._left_float(),
            opsets=dict(self.opsets),
            signatures=self.signatures,
            metadata={name: text[:_METADATA] for name, text in self.metadata.items()},
        )

    def _left_float(self) -> dict[str, int]:
        """Multiplications of real numbers by operator, the most first; empty for a file without integers."""
        if all(layer.bits is None for layer in self.layers):
            return {}
        found: Counter[str] = Counter()
        for layer in self.layers:
            if layer.bits is None and layer.work:
                found[layer.operator] += layer.work
        return dict(found.most_common())


def share_of(stored: Iterable[tuple[int, int]], layers: Iterable[Multiplying]) -> QuantizedShare:
    """How much is quantized.

    Args:
        stored: For every weight, the number of its values and the bytes of one.
        layers: Every operator that multiplies by weights.
    """
    weights, done = list(stored), [(layer.work, layer.bits) for layer in layers if layer.work != 0]
    every = sum(count for count, _ in weights)
    small = sum(count for count, size in weights if size == 1)
    share = small / every if every else None
    unknown = sum(work is None for work, _ in done)
    if unknown or not done:
        reason = f"the shapes of {unknown} operators are not known" if unknown else "no operator multiplies"
        return QuantizedShare(share, None, reason=reason)
    total = sum(work or 0 for work, _ in done)
    integer, wide = (sum(work or 0 for work, bits in done if bits is not None and bits > least) for least in (0, _BYTE))
    return QuantizedShare(share, integer / total, wide / total)


def changes(a: Contents, b: Contents) -> tuple[tuple[Changed, ...], int, tuple[str, ...], tuple[str, ...]]:
    """Weights of one name that differ (most changed first), how many are equal, and those that only one file has."""
    first, second = ({one.name: one.real for one in contents.weights} for contents in (a, b))
    shared = [name for name in first if name in second and first[name].shape == second[name].shape]
    found = [Changed(name, _change(first[name], second[name])) for name in shared]
    differing = sorted((one for one in found if one.change > 0), key=lambda one: -one.change)
    only_a, only_b = (tuple(name for name in one if name not in shared) for one in (first, second))
    return tuple(differing), len(found) - len(differing), only_a, only_b


def product(shape: Iterable[int | None]) -> int | None:
    """The number of elements; None where a size is not known."""
    sizes = list(shape)
    return None if any(size is None for size in sizes) else math.prod(size or 0 for size in sizes)


def times(*factors: int | None) -> int | None:
    """The product; None where a factor is not known."""
    return product(factors)


def dequantized(array: Array, scale: Array, zero: Array | None, axis: int) -> Array:
    """The real values that stored integers represent; one scale for all, or one for every index along `axis`."""
    shape = [1] * array.ndim
    if scale.size > 1 and axis < array.ndim:
        shape[axis] = scale.size
    offset = np.zeros_like(scale) if zero is None else zero.astype(np.float32)
    values = array.astype(np.float32) - offset.astype(np.float32).reshape(shape)
    return np.asarray(values * scale.astype(np.float32).reshape(shape))


def _as_tensor(one: Weight) -> TensorFacts:
    return TensorFacts(one.name, one.dtype, one.shape, one.stored_bytes, True)


def _change(a: Array, b: Array) -> float:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    size = float(np.sqrt(np.mean(first**2))) if first.size else 0.0
    return float(np.sqrt(np.mean((first - second) ** 2))) / size if size else float(np.any(second != 0))


def shape_of(sizes: Mapping[str, Sequence[int | None]], name: str) -> Sequence[int | None]:
    """The shape of a tensor, or one unknown size."""
    return sizes.get(name, (None,))
