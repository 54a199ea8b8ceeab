"""Bisection: the first tensor where two graphs differ, and the one that adds most error. Needs only numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from edgekit.core.reports.bisect import Aligned
from edgekit.export.bisecting.alignment import Pair, align, before
from edgekit.export.checking.difference import Difference, Magnitude
from edgekit.export.checking.parts import parts_of
from edgekit.export.checking.tolerance import Tolerance
from edgekit.export.graphs.operators import Trait, kinds_with
from edgekit.export.graphs.trace import Trace, TracedTensor

_LASTING: Final = kinds_with(Trait.LASTS)
_PICKING: Final = kinds_with(Trait.PICKS)


class Bisected:
    """Two traces aligned and judged; the figures of `core.bisection.Bisection`."""

    def __init__(self, a: Trace, b: Trace, tolerance: Tolerance) -> None:
        self._a, self._b, self._tolerance = a, b, tolerance
        self._pairs = align(a, b)
        self._by_a = {pair.a.name: pair for pair in self._pairs}
        self._noise = {pair.a.name: _noise(pair) for pair in self._pairs}
        self.aligned = tuple(self._judged(pair) for pair in self._pairs)
        self.only_a = len(a.tensors) - len(self._pairs)
        self.only_b = len(b.tensors) - len(self._pairs)

    @property
    def first(self) -> int | None:
        """The place of the first pair out of tolerance."""
        return next((place for place, one in enumerate(self.aligned) if not one.is_within), None)

    @property
    def most(self) -> int | None:
        """The place of the pair that adds most error; None where there is no error at all."""
        worst = max(range(len(self.aligned)), key=lambda place: self.aligned[place].added, default=None)
        return worst if worst is not None and self.aligned[worst].added > 0 else None

    @property
    def missing(self) -> tuple[str, ...]:
        """Tensors right before the first bad one that A computes and B does not, the earliest first.

        Only where B computes the bad one straight from good ones: then no operator of B can hold what A does.
        """
        if self.first is None:
            return ()
        pair = self._pairs[self.first]
        partners = {one.b.name: one.a.name for one in self._pairs}
        if any(name not in partners for name in pair.b.inputs):
            return ()
        between = _between(pair.a, self._a.by_name, self._by_a)
        kinds = [kind for one in (*between, pair.a) for kind in one.kinds & _LASTING]
        lost = set(kinds) - pair.b.kinds | {kind for kind in kinds if kinds.count(kind) > 1}
        return tuple(one.name for one in between if one.kinds & lost)

    def behind(self, place: int) -> tuple[str, ...]:
        """Tensors of A that the operator of B behind this pair computes: its own, and those without a counterpart.

        With those that only hold one of them in another layout.
        """
        tensor = self._pairs[place].a
        names = (*(one.name for one in _between(tensor, self._a.by_name, self._by_a)), tensor.name)
        return tuple(one for name in names for one in (name, *self._a.moved.get(name, ())))

    def _judged(self, pair: Pair) -> Aligned:
        difference = Difference.between(pair.a.value, pair.value)
        kind, value, limit, good = self._worst(pair, difference)
        noise = self._noise[pair.a.name]
        above = before(pair.a, self._a.by_name, self._by_a)
        inherited = max((self._noise[name] for name in above), default=0.0)
        return Aligned(
            a=pair.a.name,
            b=pair.b.name,
            operator_a=pair.a.operator,
            operator_b=pair.b.operator,
            module=pair.a.module or pair.b.module,
            error=math.sqrt(noise),
            added=math.sqrt(max(0.0, noise - inherited)),
            kind=kind,
            value=value,
            limit=limit,
            is_within=good,
            largest=difference.largest,
            weights=pair.b.weights or self._weights_before(pair.b),
        )

    def _worst(self, pair: Pair, difference: Difference) -> tuple[str, float | None, float, bool]:
        """The judgement of a tensor, or of the first of its parts, of scales of their own, that is out of tolerance."""
        found = _within(difference, self._span(pair), self._tolerance, self._tolerance.sqnr_db)
        for part in parts_of(pair.a.value) if found[-1] and self._tolerance.difference is None else ():
            there, here = part.of(pair.a.value), part.of(pair.value)
            if there is not None and here is not None and found[-1]:
                lost = Difference.between(there, here)
                found = _within(lost, part.magnitude.span, self._tolerance, self._tolerance.part_db)
        return found

    def _span(self, pair: Pair) -> float:
        """The range that a difference is compared with: of the tensor, and of those it was computed from.

        Where values are added or picked, a small rest of large ones is only as exact as those were.
        """
        own = Magnitude.of(pair.a.value).span
        if not pair.a.kinds & _PICKING:
            return own
        above = before(pair.a, self._a.by_name, self._by_a)
        return max([own, *(Magnitude.of(self._by_a[name].a.value).span for name in above)])

    def _weights_before(self, tensor: TracedTensor) -> tuple[str, ...]:
        """The weights of operators whose result has no counterpart: those whose fault shows here first."""
        known = {pair.b.name: pair for pair in self._pairs}
        return tuple(name for one in _between(tensor, self._b.by_name, known) for name in one.weights)


def _within(
    difference: Difference, span: float, tolerance: Tolerance, limit: float
) -> tuple[str, float | None, float, bool]:
    if tolerance.difference is not None:
        value = difference.largest / span
        return "difference", value, tolerance.difference, value <= tolerance.difference
    decibels = difference.sqnr_db()
    return "sqnr", decibels, limit, decibels is None or decibels >= limit


def _noise(pair: Pair) -> float:
    """Power of the difference over the power of A's tensor; 0 for equal tensors, at most 1e12."""
    error = Difference.between(pair.a.value, pair.value).error
    noise = float(np.mean(np.minimum(error, 1e30) ** 2))
    power = Magnitude.of(pair.a.value).power
    return min(noise / power, 1e12) if power else (0.0 if noise == 0 else 1e12)


def _between(
    tensor: TracedTensor, tensors: Mapping[str, TracedTensor], known: Mapping[str, object]
) -> Sequence[TracedTensor]:
    """Tensors without a counterpart on the way from known ones to `tensor`, in order."""
    found: set[str] = set()
    waiting = list(tensor.inputs)
    while waiting:
        name = waiting.pop()
        if name not in known and name not in found:
            found.add(name)
            waiting += tensors[name].inputs
    return [one for name, one in tensors.items() if name in found]
