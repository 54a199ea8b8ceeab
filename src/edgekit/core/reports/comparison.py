"""Comparison: what is known of two measurements, as a document."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.measurement import Measurement
from edgekit.core.reports.report import Estimate
from edgekit.core.statistics.intervals import Direction
from edgekit.core.verdict import Verdict

# 1: first version.
COMPARISON_SCHEMA: Final = 1
_VERDICTS: Final = {"slower": Verdict.FAIL, "inconclusive": Verdict.INCONCLUSIVE}


class Compared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pair of measurements: the ratio B/A of their median latencies over launches.

    `detectable` is the relative difference that this measurement finds in 80 % of cases. `differing` lists the facts
    that are not the same on both sides. `medians_a` and `medians_b` are what the ratio was computed from: in seconds,
    one a launch, in pairs where the launches were interleaved. `repeated` counts pairs that were measured again because
    the scheduler disturbed them; the measurements hold both. `p_value` is of "B is as fast as A".
    """

    target: str
    a: str
    b: str
    ratio: Estimate
    detectable: float | None
    says: Direction
    differing: tuple[str, ...] = ()
    medians_a: tuple[float, ...] = ()
    medians_b: tuple[float, ...] = ()
    repeated: int = 0
    p_value: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Fail when B is slower; faster and equal pass."""
        return _VERDICTS.get(self.says, Verdict.PASS)


class ComparisonReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every pair, and the verdict: fail when B is slower anywhere, inconclusive when one pair cannot be decided."""

    created: str
    a: str
    b: str
    minimum_effect: float
    pairs: tuple[Compared, ...]
    verdict: Verdict
    measurements: tuple[Measurement, ...] = ()
    command: str = "compare"
    schema_version: int = COMPARISON_SCHEMA
