"""A sweep as a matrix: models down, targets and backend versions across, each median next to the fastest of its row."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from edgekit.core.reports.report import Estimate
from edgekit.core.reports.sweep import SweepReport, SweptCombination

# The largest factor of each colour; the last colour has none. A factor of 1.05 is within what launches differ by.
FACTORS: Final = (1.05, 1.25, 1.5, 2.0, 4.0)


@dataclass(frozen=True)
class HeatCell:
    """One combination; `factor` is its median over the fastest one of its row, and None if its outputs are wrong.

    `colour` is the number of the colour, from 0 for the fastest.
    """

    median: Estimate
    factor: float | None
    colour: int | None


@dataclass(frozen=True)
class HeatRow:
    """One model and artifact at one batch size; a combination that was not measured is None."""

    name: str
    batch: int
    cells: tuple[HeatCell | None, ...]


@dataclass(frozen=True)
class HeatMatrix:
    """The target and the backend version of each column (empty for the installed one), and the rows."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[HeatRow, ...]


def heat_matrix(report: SweepReport, called: dict[tuple[str, str], str]) -> HeatMatrix:
    """The combinations of a sweep.

    Args:
        called: What each model and artifact is called.
    """
    columns = tuple(dict.fromkeys((one.target, one.engine) for one in report.combinations))
    rows: dict[tuple[str, str, int], dict[tuple[str, str], SweptCombination]] = {}
    for one in report.combinations:
        rows.setdefault((one.model, one.artifact, one.batch), {})[one.target, one.engine] = one
    return HeatMatrix(
        columns,
        tuple(
            HeatRow(called[model, artifact], batch, _cells(found, columns))
            for (model, artifact, batch), found in rows.items()
        ),
    )


def _cells(
    found: dict[tuple[str, str], SweptCombination], columns: tuple[tuple[str, str], ...]
) -> tuple[HeatCell | None, ...]:
    medians = {place: median_of(one) for place, one in found.items()}
    known = [one.value for one in medians.values() if one.value]
    fastest = min(known, default=None)
    return tuple(_cell(medians[place], fastest) if place in medians else None for place in columns)


def _cell(median: Estimate, fastest: float | None) -> HeatCell:
    if median.value is None or not fastest:
        return HeatCell(median, None, None)
    factor = median.value / fastest
    return HeatCell(median, factor, bisect_left(FACTORS, factor))


def median_of(one: SweptCombination) -> Estimate:
    """The median latency, in seconds; unknown if the outputs are wrong."""
    if one.latency is None:
        return Estimate(None, reason="failed parity")
    return one.latency.quantiles.get("p50", Estimate(None))
