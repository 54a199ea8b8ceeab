"""The document of `edgekit compare`: how two measurements differ."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.errors import Interrupted
from edgekit.core.measurement import Measurement
from edgekit.core.reports.report import Estimate, Missing
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.statistics.intervals import Direction
from edgekit.core.system.documents import Document
from edgekit.core.verdict import Verdict

# 1: first version. 2: pairs contain their sizes. 3: the files of both sides are compared as well.
# 4: tools and reproduction.
COMPARISON_SCHEMA: Final = 4
_VERDICTS: Final = {"slower": Verdict.FAIL, "inconclusive": Verdict.INCONCLUSIVE}


class Compared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pair of measurements: the ratio B/A of their median latencies over launches.

    `detectable` is the relative difference that this measurement detects in 80 % of cases. `differing` lists the facts
    that differ between both sides. The ratio is computed from `medians_a` and `medians_b`: in seconds, one per launch,
    in pairs if the launches were interleaved. `repeated` counts the pairs that were measured again because the
    scheduler disturbed them; the measurements contain both. `p_value` is that of "B is as fast as A". `sizes` are those
    of the dynamic axes in the inputs of both.
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
    sizes: dict[str, int] = {}

    @property
    def verdict(self) -> Verdict:
        """Fail if B is slower; faster and equal pass."""
        return _VERDICTS.get(self.says, Verdict.PASS)


class OutputDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output of both files for the same inputs, named as in A: the largest absolute difference, the range of A, the
    signal-to-noise ratio of B in dB (null if they are equal), and the share of samples with the same largest value.
    """

    output: str
    largest: float
    span: float
    sqnr_db: float | None
    top1: float | None
    samples: int


class FileDifferences(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How two files differ besides their latency. `generated` says that inputs were not real samples, `reason` why
    outputs are missing.
    """

    size_a_bytes: int
    size_b_bytes: int
    operators_a: dict[str, int] = {}
    operators_b: dict[str, int] = {}
    outputs: tuple[OutputDifference, ...] = ()
    generated: bool = True
    reason: str = ""


class ComparisonReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every pair, and the verdict: fail if B is slower on any target, else incomplete if a target is `missing`.

    Else it is inconclusive if one pair is.
    """

    created: str
    a: str
    b: str
    minimum_effect: float
    pairs: tuple[Compared, ...]
    verdict: Verdict
    measurements: tuple[Measurement, ...] = ()
    files: FileDifferences | None = None
    tools: dict[str, str] = {}
    reproduction: Reproduction | None = None
    missing: tuple[Missing, ...] = ()
    command: str = "compare"
    schema_version: int = COMPARISON_SCHEMA

    @property
    def exit_code(self) -> int:
        """That of the verdict; 130 after Ctrl-C."""
        stopped = any(one.kind == "interrupted" for one in self.missing)
        return Interrupted.exit_code if stopped else self.verdict.exit_code
