"""Parts of an output that have scales of their own, such as boxes in pixels and scores. Needs only numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Array
from edgekit.export.checking.difference import Floats, Magnitude

# A part whose range is this many times smaller than another's has less than 4 of the 8 bits of their common scale.
APART: Final = 16.0
# A user tells boxes from scores; more groups than these are a gradual spread of one quantity.
_MOST: Final = 4


@dataclass(frozen=True)
class Part:
    """The indices along one axis of an output that share a scale, with their magnitude over all samples.

    `size` is the length of the axis: an array of a different length has no such part. `axis` counts from the end, so
    that it is right for one sample and for many.
    """

    axis: int
    size: int
    index: tuple[int, ...]
    magnitude: Magnitude

    def of(self, array: Array) -> Array | None:
        """This part of an output; None if that axis has a different length."""
        if array.ndim < -self.axis or array.shape[self.axis] != self.size:
            return None
        return np.take(array, self.index, axis=self.axis)

    @property
    def name(self) -> str:
        """The part as a slice of the last axes: `[..., 4:84, :]`, or with its indices if they have gaps."""
        first, last = self.index[0], self.index[-1]
        whole = last - first + 1 == len(self.index)
        inner = (f"{first}:{last + 1}" if len(self.index) > 1 else f"{first}") if whole else _listed(self.index)
        return f"[{', '.join(['...', inner, *[':'] * (-self.axis - 1)])}]"


def parts_of(array: Array) -> tuple[Part, ...]:
    """The parts of an output `(S, ...)` whose ranges differ by 16 times or more; none if the output has one scale.

    The axis with the widest gap counts. Values that are all from 0 to 1 are probabilities: a rare class among them is
    rare, and no quantity of its own. Scores that are joined with boxes in pixels are one part, however rare a class is.
    """
    if array.dtype.kind != "f" or array.ndim < 2 or not array.size:
        return ()
    values = np.where(np.isfinite(array), array, 0).astype(np.float64, copy=False)
    if _are_probabilities(values, ()):
        return ()
    found = [(gap, axis, groups) for axis in range(1, array.ndim) for gap, groups in [_groups(values, axis)] if groups]
    if not found:
        return ()
    _, axis, groups = max(found, key=lambda one: one[0])
    return tuple(
        Part(
            axis - array.ndim, array.shape[axis], tuple(map(int, index)), Magnitude.of(np.take(array, index, axis=axis))
        )
        for index in groups
    )


def _groups(values: Floats, axis: int) -> tuple[float, list[NDArray[np.int64]]]:
    """The widest gap between the sizes of an axis's indices, and the indices on each side of every gap."""
    others = tuple(place for place in range(values.ndim) if place != axis)
    sizes = np.abs(values).max(axis=others)
    rare = _are_probabilities(values, others)
    sizes[rare] = sizes[rare].max(initial=0.0)
    known = np.flatnonzero(sizes > 0)
    if len(known) < 2:
        return 0.0, []
    order = known[np.argsort(sizes[known], kind="stable")]
    ratios = sizes[order][1:] / sizes[order][:-1]
    cuts = np.flatnonzero(ratios >= APART) + 1
    if not len(cuts) or len(cuts) >= _MOST:
        return 0.0, []
    return float(ratios.max()), [np.sort(group) for group in np.split(order, cuts)]


def _are_probabilities(values: Floats, axes: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether all values along `axes` are from 0 to 1, for each index of the axis that is left; for all without one."""
    over = axes or None
    return np.asarray((values.min(axis=over) >= 0) & (values.max(axis=over) <= 1))


def _listed(index: tuple[int, ...]) -> str:
    shown = ",".join(map(str, index[:4]))
    return shown if len(index) <= 4 else f"{shown},...({len(index)})"
