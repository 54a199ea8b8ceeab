"""Alignment: pairs the tensors of two graphs, by value where the graphs agree, otherwise by order and kind."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Array
from edgekit.export.graphs.trace import Trace, TracedTensor

# From this correlation on two tensors are the same: int8 keeps above 0.99, unrelated activations stay far below.
ALIKE: Final = 0.9
# From this one on, two that are each other's likeliest are paired before anything else is known.
SAME: Final = 0.99
# What kind and place are worth where values do not tell; together less than any likeness that counts.
_KIND: Final = 0.5
_SPREAD: Final = 0.2
_MOST_AXES: Final = 5
_QUANTILES: Final = np.linspace(0, 1, 33)


@dataclass(frozen=True)
class Pair:
    """A tensor of A and its counterpart in B; `value` is that of B in the layout of A."""

    a: TracedTensor
    b: TracedTensor
    value: Array
    likeness: float


def align(a: Trace, b: Trace) -> tuple[Pair, ...]:
    """Pairs in the order of A.

    Inputs and outputs are paired by name, then tensors that are each other's likeliest by value. Of what is left, those
    are paired that are computed from the same ones: first the best sequence that keeps the order of both graphs.
    """
    score = _Scores()
    pairs = {one.a.name: one for one in _by_name(a, b, score)}
    for find in (_by_value, _in_order, _by_ancestors):
        pairs |= {one.a.name: one for one in find(a, b, pairs, score)}
    return tuple(pairs[tensor.name] for tensor in a.tensors if tensor.name in pairs)


def before(tensor: TracedTensor, tensors: Mapping[str, TracedTensor], known: Mapping[str, object]) -> frozenset[str]:
    """The nearest tensors that `tensor` is computed from and that are known."""
    found: set[str] = set()
    waiting = list(tensor.inputs)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in known:
            found.add(name)
        elif name not in seen:
            waiting += tensors[name].inputs
        seen.add(name)
    return frozenset(found)


class _Scores:
    """How well two tensors fit, each pair looked at once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[float, Pair | None]] = {}
        self._centred: dict[str, tuple[NDArray[np.float32], float]] = {}

    def of(self, a: TracedTensor, b: TracedTensor) -> tuple[float, Pair | None]:
        """A score, 0 for no pair, and the pair in the best layout."""
        key = (a.name, b.name)
        if key not in self._known:
            self._known[key] = self._scored(a, b)
        return self._known[key]

    def _scored(self, a: TracedTensor, b: TracedTensor) -> tuple[float, Pair | None]:
        best: Pair | None = None
        for value in arrangements(b.value, a.value.shape):
            likeness = self._likeness(a, value)
            if best is None or likeness > best.likeness:
                best = Pair(a, b, value, likeness)
        if best is None:
            return 0.0, None
        if best.likeness >= ALIKE:
            return 1.0 + best.likeness, best
        # Names that survive from one graph to the other, as they do in quantization, are a hint as well.
        alike = _KIND * _shared(a.kinds, b.kinds)
        return (alike + _SPREAD * _spread_alike(a.value, b.value) + 0.1 * (a.name == b.name) if alike else 0.0), best

    def _likeness(self, a: TracedTensor, value: Array) -> float:
        if a.name not in self._centred:
            self._centred[a.name] = _centred(a.value)
        first, size = self._centred[a.name]
        second, other = _centred(value)
        if size == 0.0 or other == 0.0:
            return 1.0 if size == other and np.allclose(a.value, value) else 0.0
        return float(first @ second) / (size * other)


def arrangements(value: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """`value` in every order of its axes that has `shape`; the first axis, of the runs, stays the first."""
    if value.size != math.prod(shape) or value.shape[0] != shape[0]:
        return
    sizes = [size for size in value.shape[1:] if size != 1]
    wanted = [size for size in shape[1:] if size != 1]
    plain = value.reshape(shape[0], *sizes)
    orders = list(itertools.permutations(range(len(sizes)))) if len(sizes) <= _MOST_AXES else [tuple(range(len(sizes)))]
    fitting = [order for order in orders if [sizes[place] for place in order] == wanted]
    # Where no order fits, axes were joined or parted: any order may have come before that.
    for order in fitting or orders:
        yield plain.transpose(0, *(place + 1 for place in order)).reshape(shape)


def _centred(value: Array) -> tuple[NDArray[np.float32], float]:
    flat = np.asarray(value, np.float32).reshape(-1)
    flat = np.nan_to_num(flat - flat.mean(), nan=0.0, posinf=0.0, neginf=0.0)
    return flat, float(np.linalg.norm(flat))


def _shared(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def _spread_alike(a: Array, b: Array) -> float:
    """1 for values of the same distribution, whatever their order; 0 for unlike ones."""
    first, second = (np.quantile(np.asarray(one, np.float64), _QUANTILES) for one in (a, b))
    scale = float(np.abs(first).mean() + np.abs(second).mean()) or 1.0
    return max(0.0, 1.0 - float(np.abs(first - second).mean()) / scale)


def _by_name(a: Trace, b: Trace, score: _Scores) -> Iterator[Pair]:
    """Inputs and outputs of the same name."""
    inputs = {
        tensor.name: tensor.name for tensor in a.tensors if tensor.operator == "input" and tensor.name in b.by_name
    }
    outputs = {a.outputs[name]: b.outputs[name] for name in a.outputs if name in b.outputs}
    for first, second in (inputs | outputs).items():
        found = score.of(a.by_name[first], b.by_name[second])[1]
        if found is not None:
            yield found


def _by_value(a: Trace, b: Trace, pairs: Mapping[str, Pair], score: _Scores) -> Iterator[Pair]:
    """Tensors that are each other's likeliest, wherever they are: graphs compute branches in different orders."""
    first, second = _left(a, b, pairs)
    for one in first:
        found = _likeliest([score.of(one, other)[1] for other in second])
        if found is None or found.likeness < SAME:
            continue
        back = _likeliest([score.of(other, found.b)[1] for other in first])
        if back is found:
            second.remove(found.b)
            yield found


def _likeliest(pairs: Sequence[Pair | None]) -> Pair | None:
    """The first of the likeliest pairs."""
    return max((one for one in pairs if one is not None), key=lambda one: round(one.likeness, 5), default=None)


def _in_order(a: Trace, b: Trace, pairs: Mapping[str, Pair], score: _Scores) -> Iterator[Pair]:
    """The pairs of tensors left over with the highest sum of scores that cross nowhere."""
    first, second = _left(a, b, pairs)
    may = _Ancestors(a, b, pairs)
    gains = np.array([[score.of(one, other)[0] * may.pair(one, other) for other in second] for one in first])
    table = np.zeros((len(first) + 1, len(second) + 1))
    for i, j in itertools.product(range(len(first)), range(len(second))):
        table[i + 1, j + 1] = max(table[i, j + 1], table[i + 1, j], table[i, j] + gains[i, j])
    i, j = len(first), len(second)
    while i and j:
        if gains[i - 1, j - 1] and table[i, j] == table[i - 1, j - 1] + gains[i - 1, j - 1]:
            found = score.of(first[i - 1], second[j - 1])[1]
            assert found is not None
            yield found
            i, j = i - 1, j - 1
        elif table[i, j] == table[i - 1, j]:
            i -= 1
        else:
            j -= 1


def _by_ancestors(a: Trace, b: Trace, pairs: Mapping[str, Pair], score: _Scores) -> Iterator[Pair]:
    """What then is left over, whatever its order."""
    first, second = _left(a, b, pairs)
    may = _Ancestors(a, b, pairs)
    for one in first:
        other = next((other for other in second if score.of(one, other)[0] and may.pair(one, other)), None)
        found = score.of(one, other)[1] if other else None
        if found is not None:
            second.remove(found.b)
            yield found


def _left(a: Trace, b: Trace, pairs: Mapping[str, Pair]) -> tuple[list[TracedTensor], list[TracedTensor]]:
    used = {one.b.name for one in pairs.values()}
    return [one for one in a.tensors if one.name not in pairs], [one for one in b.tensors if one.name not in used]


class _Ancestors:
    """Which paired tensors every tensor is computed from, on both sides in the names of A."""

    def __init__(self, a: Trace, b: Trace, pairs: Mapping[str, Pair]) -> None:
        self._a = _ancestors(a, {name: name for name in pairs})
        self._b = _ancestors(b, {one.b.name: one.a.name for one in pairs.values()})

    def pair(self, a: TracedTensor, b: TracedTensor) -> bool:
        """True when both are computed from the same paired tensors."""
        return self._a[a.name] == self._b[b.name]


def _ancestors(trace: Trace, names: Mapping[str, str]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for tensor in trace.tensors:
        own = {names[name] for name in tensor.inputs if name in names}
        found[tensor.name] = frozenset(own).union(*(found.get(name, frozenset()) for name in tensor.inputs))
    return found
