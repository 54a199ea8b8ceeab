"""Ranges that tensors share: those that hold the same values, and those of a stream in all its signatures.

A state has one range, and a tensor one at every size of a chunk: with scales of its own for each signature, a stream
that is fed in chunks would not give what one piece gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from edgekit.export.graphs.joins import JOINS
from edgekit.export.graphs.operators import Trait, named
from edgekit.export.graphs.trace import Operation

_HOLDS: Final = Trait.MOVES | Trait.REPEATS | Trait.TAKES
# What holds values of what it reads, and so has its scale. PAD adds the zero that every scale has.
_HOLDERS: Final = named("tflite", _HOLDS) | JOINS | {"PAD"}
# The largest of some values is one of them.
_SAME: Final = named("tflite", _HOLDS) | {"PAD", "MAX_POOL_2D"}


def share_ranges(
    ranges: Mapping[str, dict[str, Any]], graphs: Iterable[Sequence[Operation]], same: Iterable[Sequence[str]]
) -> None:
    """Give tensors that hold the same values one range, in place.

    Args:
        ranges: Smallest and largest value of every tensor, as arrays.
        graphs: The operators of each signature; those that compute are in the same order in all of them.
        same: Further groups of tensors: each input in every signature, a state with the output that it comes from.
    """
    graphs = list(graphs)
    groups = _holding(ranges, graphs)
    computing = [[one for one in operations if one.operator not in _HOLDERS] for operations in graphs]
    if len({tuple(one.operator for one in operations) for operations in computing}) == 1:
        for alike in zip(*computing, strict=True):
            for column in zip(*(one.outputs for one in alike), strict=True):
                groups.join([name for name in column if name in ranges])
    for tensors in same:
        groups.join([name for name in tensors if name in ranges])
    for group in groups.found():
        _widen([ranges[name] for name in group])


def set_ranges(
    ranges: Mapping[str, dict[str, Any]],
    graphs: Iterable[Sequence[Operation]],
    learned: Mapping[str, tuple[float, float]],
) -> None:
    """Give tensors the ranges that were learned, and tensors that hold the same values theirs, in place."""
    for group in _holding(ranges, graphs, _SAME).found():
        ends = next((learned[name] for name in group if name in learned), None)
        for name in group if ends else ():
            _set(ranges[name], ends)
    for name, ends in learned.items():
        if name in ranges:
            _set(ranges[name], ends)


def _holding(
    ranges: Mapping[str, dict[str, Any]], graphs: Iterable[Sequence[Operation]], holders: frozenset[str] = _HOLDERS
) -> _Groups:
    """Tensors in groups that hold the same values."""
    groups = _Groups()
    for operations in graphs:
        for one in operations:
            if one.operator in holders:
                groups.join([name for name in (*one.inputs, *one.outputs) if name in ranges])
    return groups


def _set(known: dict[str, Any], ends: tuple[float, float] | None) -> None:
    if ends and "min" in known:
        known["min"], known["max"] = np.full_like(known["min"], ends[0]), np.full_like(known["max"], ends[1])


def _widen(ranges: Sequence[dict[str, Any]]) -> None:
    known = [one for one in ranges if "min" in one]
    if not known:
        return
    low, high = min(float(np.min(one["min"])) for one in known), max(float(np.max(one["max"])) for one in known)
    for one in known:
        one["min"], one["max"] = np.full_like(one["min"], low), np.full_like(one["max"], high)


class _Groups:
    """Names in groups that grow together."""

    def __init__(self) -> None:
        self._group: dict[str, list[str]] = {}

    def join(self, names: Sequence[str]) -> None:
        whole: dict[str, None] = {}
        for name in names:
            whole |= dict.fromkeys(self._group.get(name, [name]))
        members = list(whole)
        self._group |= dict.fromkeys(members, members)

    def found(self) -> list[list[str]]:
        return list({id(one): one for one in self._group.values()}.values())
