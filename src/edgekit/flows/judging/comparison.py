"""Two reports compared: their common measurements, and whether B is slower than A."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.facts import Facts
from edgekit.core.measurement import PREFILL, Measurement
from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import REPORT_SCHEMA, Estimate, Report
from edgekit.core.statistics.intervals import direction, launch_quantiles, ratio_interval, ratio_p_value
from edgekit.core.statistics.trust import drift_of, told_drift
from edgekit.core.system import documents
from edgekit.flows.measuring.sides import refuse_other

_FACTS: Final = ("system", "governor", "cores", "throttled", "engines")


def read_report(path: str | Path) -> Report:
    """The report in a file; errors as in `documents.read`."""
    return documents.read(Path(path), Report, newest=REPORT_SCHEMA)


def refuse_other_files(report: Report, artifacts: Sequence[Artifact], path: Path) -> None:
    """Raise where the report in the file `path`, which is to be continued, measured other files.

    Raises:
        UserError: An artifact of the same name had another checksum.
    """
    sums = {one.recipe: one.sha256 for one in report.artifacts}
    other = [one.recipe for one in artifacts if sums.get(one.recipe, one.sha256) != one.sha256]
    if other:
        message = f"'{path}' cannot be resumed: it measured another file as '{other[0]}'."
        raise UserError(message, hint="Omit --resume.")


def compare_reports(a: Report, b: Report, minimum_effect: float) -> list[Compared]:
    """Every measurement in both reports, by target and artifact; a single one on each side is a pair too.

    Raises:
        UserError: No common measurement, or different units, inputs or devices.
    """
    left, right = (
        {(one.target, one.artifact, one.phase == PREFILL): one for one in report.measurements} for report in (a, b)
    )
    common = [(left[key], right[key]) for key in left if key in right]
    if not common and len(left) == len(right) == 1:
        common = [(next(iter(left.values())), next(iter(right.values())))]
    if not common:
        raise UserError(
            "The reports have no target and artifact in common.", hint="edgekit profile A --artifact RECIPE"
        )
    return [_checked(one, other, a, b, minimum_effect) for one, other in common]


def _checked(one: Measurement, other: Measurement, a: Report, b: Report, minimum_effect: float) -> Compared:
    if (one.unit, one.metric, one.sizes) != (other.unit, other.metric, other.sizes):
        raise UserError(
            f"'{one.artifact}': {one.metric} in {one.unit} at {one.sizes} against {other.metric} in {other.unit} at "
            f"{other.sizes}."
        )
    _refuse_other_tensors(a, b)
    before, after = a.facts.get(one.target, Facts()), b.facts.get(other.target, Facts())
    if (before.cpu, before.architecture) != (after.cpu, after.architecture):
        raise UserError(
            f"The devices differ: '{before.cpu}' and '{after.cpu}'.", hint="Measure both on the same device."
        )
    differing = [
        f"{name}: {getattr(before, name)} and {getattr(after, name)}"
        for name in _FACTS
        if getattr(before, name) != getattr(after, name)
    ]
    return _compared(one, other, minimum_effect, tuple(differing))


def _compared(a: Measurement, b: Measurement, minimum_effect: float, differing: tuple[str, ...]) -> Compared:
    before, after = (launch_quantiles(one.launch_values, 0.5) for one in (a, b))
    emulated = a.emulated or b.emulated
    drifting = [told_drift(change) for one in (a, b) if (change := drift_of(one))]
    if emulated or drifting or before is None or after is None:
        few = drifting[0] if drifting else "too few launches or values"
        missing = Estimate(None, reason="emulated: not the latency of a device" if emulated else few)
        where = a.target, a.artifact, b.artifact
        return Compared(*where, missing, None, "inconclusive", differing, sizes=a.sizes)
    ratio = ratio_interval(before, after, paired=False)
    return Compared(
        a.target,
        a.artifact,
        b.artifact,
        Estimate(ratio.value, ratio.low, ratio.high, ratio.n),
        ratio.detectable,
        direction(ratio, minimum_effect),
        differing,
        before,
        after,
        p_value=ratio_p_value(before, after, paired=False),
        sizes=a.sizes,
    )


def _refuse_other_tensors(a: Report, b: Report) -> None:
    if a.spec and b.spec:
        refuse_other(a.spec, b.spec)
