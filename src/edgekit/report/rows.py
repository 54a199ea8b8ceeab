"""What every rendering shows of a report: one row per artifact and target, and which figures are withheld."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from edgekit.core.budget import CALLS, METRICS
from edgekit.core.bundle import Artifact
from edgekit.core.measurement import Measurement, Trust
from edgekit.core.reports.report import (
    Accuracy,
    BudgetCheck,
    EndToEnd,
    Estimate,
    Latency,
    Outcome,
    ParityCheck,
    RecipeFailure,
    Report,
    cell,
    parity_verdict,
)
from edgekit.core.verdict import Verdict
from edgekit.report.formatting import at_sizes, plural, sizes

EMULATED: Final = "emulated"
FAILED_PARITY: Final = "parity failed, so no latency is shown"
NOT_MEASURED: Final = "not measured"
TIMES: Final = (*CALLS, "load", "first_run")
MEASURED: Final = (*TIMES, "memory")


@dataclass(frozen=True)
class Row:
    """One artifact on one target, with one set of sizes.

    `withheld` says why no time is shown, or is empty: neither a wrong artifact nor an emulator has a latency.
    """

    artifact: str
    target: str
    made: Artifact | None = None
    parity: Verdict | None = None
    accuracy: Accuracy | None = None
    latency: Latency | None = None
    measurement: Measurement | None = None
    budgets: tuple[BudgetCheck, ...] = ()
    withheld: str = NOT_MEASURED
    is_chosen: bool = False

    @property
    def is_timed(self) -> bool:
        """True if times may be shown."""
        return not self.withheld

    @property
    def is_emulated(self) -> bool:
        """True if there is no time because the device was emulated."""
        return self.withheld == EMULATED

    @property
    def trust(self) -> Trust | None:
        """The trust grade of the measurement; None if the artifact failed parity."""
        return self.latency.trust if self.latency and self.withheld != FAILED_PARITY else None

    def quantile(self, name: str) -> Estimate:
        """The latency quantile called `name`; if it is not shown, without a value and with the reason."""
        none = Estimate(None, reason=self.withheld)
        return none if self.times is None else self.times.quantiles.get(name, Estimate(None))

    @property
    def times(self) -> Latency | None:
        """The figures that follow from times; None if they are withheld."""
        return None if self.withheld else self.latency

    def figure(self, name: str) -> Estimate:
        """A figure of `Latency` that follows from times, such as `load`; without a value if it is withheld."""
        found: Estimate = Estimate(None, reason=self.withheld) if self.times is None else getattr(self.times, name)
        return found

    @property
    def memory(self) -> Estimate:
        """Peak memory, which an emulator reports as well."""
        return self.latency.memory if self.latency else Estimate(None, reason=NOT_MEASURED)

    @property
    def instructions(self) -> Estimate:
        """Instructions per inference; without a value if they were not counted, or the artifact failed parity."""
        if self.latency is None or self.withheld == FAILED_PARITY:
            return Estimate(None, reason=self.withheld)
        return self.latency.instructions

    @property
    def ran_by(self) -> str:
        """What ran it: `onnxruntime 1.31, cpu, N=8`; empty if it was not measured."""
        if self.latency is None:
            return ""
        found = self.latency
        parts = (found.engine or found.backend, found.provider, found.phase, sizes(found.sizes))
        return ", ".join(part for part in parts if part)

    @property
    def counts(self) -> str:
        """The number of launches and calls behind the latency: `6 launches, 1,800 calls`."""
        if self.withheld or self.measurement is None:
            return ""
        launches = self.measurement.launch_values
        return f"{plural(len(launches), 'launch')}, {plural(sum(map(len, launches)), 'call')}"


@dataclass(frozen=True)
class TargetView:
    """One target with its outcome and rows; the target is empty if the report measured none."""

    target: str
    outcome: Outcome | None
    rows: tuple[Row, ...]

    @cached_property
    def quantiles(self) -> tuple[str, ...]:
        """Names of the latency quantiles that any row has, in order."""
        shown = [row.latency.quantiles for row in self.rows if row.is_timed and row.latency]
        return tuple(dict.fromkeys(name for quantiles in shown for name in quantiles))

    @cached_property
    def artifacts(self) -> tuple[Row, ...]:
        """One row per artifact: the first of those that differ only in sizes."""
        found: dict[str, Row] = {}
        for row in self.rows:
            found.setdefault(row.artifact, row)
        return tuple(found.values())

    @cached_property
    def sizes(self) -> dict[str, int] | None:
        """The sizes of the dynamic axes at which all rows were measured; None if they differ."""
        measured = [row.latency.sizes for row in self.rows if row.latency is not None]
        return None if any(one != measured[0] for one in measured) else measured[0] if measured else {}

    @property
    def timed(self) -> tuple[str, ...]:
        """Names of the artifacts whose times are shown."""
        return tuple(row.artifact for row in self.artifacts if row.is_timed)

    @property
    def has_latency(self) -> bool:
        """True if the target was measured, even if no figure may be shown."""
        return any(row.latency is not None or row.withheld != NOT_MEASURED for row in self.rows)

    @property
    def has_instructions(self) -> bool:
        """True if instructions were counted for any row."""
        return any(row.instructions.value is not None for row in self.rows)

    @property
    def has_accuracy(self) -> bool:
        """True if any row has a quality figure or the reason why it has none."""
        return any(row.accuracy is not None for row in self.rows)

    @property
    def trust(self) -> tuple[tuple[Trust, tuple[str, ...]], ...]:
        """Each distinct trust with its artifacts, in order."""
        found: dict[tuple[object, ...], tuple[Trust, list[str]]] = {}
        for row in self.rows:
            if (trust := row.trust) is not None:
                _, names = found.setdefault((trust.grade, trust.reasons, trust.raise_by), (trust, []))
                names.append(row.artifact)
        return tuple((trust, tuple(dict.fromkeys(names))) for trust, names in found.values())


def targets(report: Report) -> tuple[TargetView, ...]:
    """Every target of the report in order; a single unnamed one if it has none."""
    names = _target_names(report) or [""]
    return tuple(TargetView(name, _outcome(report, name), tuple(_rows(report, name))) for name in names)


def withheld(report: Report, artifact: str, target: str) -> str:
    """Why no time of `artifact` on `target` may be shown, or an empty text."""
    if parity(report, artifact, target) is Verdict.FAIL:
        return FAILED_PARITY
    return EMULATED if _is_emulated(report, artifact, target) else ""


def whole_calls(report: Report) -> tuple[tuple[Latency, EndToEnd], ...]:
    """The rows whose calls were timed from end to end, and may be shown, with those times."""
    found = ((one, one.end_to_end) for one in report.latency if not withheld(report, one.artifact, one.target))
    return tuple((one, whole) for one, whole in found if whole is not None)


def parity(report: Report, artifact: str, target: str) -> Verdict | None:
    """The worst parity verdict that applies to this target; None if nothing was checked.

    A check on another target of the report does not apply to this one; a check in a backend on this machine applies to
    every target, because the artifact itself is then suspect.
    """
    others = set(_target_names(report)) - {target}
    checks = [check for check in report.parity if check.artifact == artifact and check.where not in others]
    return parity_verdict(checks) if checks else None


def judged_on(report: Report) -> str:
    """The samples that the quality and the drop were computed on, in one sentence; empty without a quality."""
    known = [one for one in report.accuracy if one.quality.value is not None]
    if not known:
        return ""
    metric, count = known[0].metric, known[0].quality.n
    drops = {one.drop.n for one in known if one.drop.value is not None} - {count}
    rest = f"; the drop on {_samples(report, drops.pop())}" if drops else ""
    return f"{metric} on {_samples(report, count)}{rest}"


def _samples(report: Report, count: int) -> str:
    """`all 450 held-back samples of digits.npz`, or how many of them."""
    if report.split is None:
        return plural(count, "sample")
    held = plural(report.split.evaluation, "held-back sample")
    kind = f"all {held}" if count == report.split.evaluation else f"{count:,} of the {held}"
    return f"{kind} of {report.split.source}"


def judged(report: Report, check: BudgetCheck) -> Estimate:
    """The figure of a budget, without its value if the time is withheld."""
    reason = withheld(report, check.artifact, check.target) if check.metric in TIMES else ""
    return Estimate(None, reason=reason) if reason else check.estimate


def measured_at(report: Report, check: BudgetCheck) -> str:
    """` at N=1, T=32`, the sizes at which the figure of a budget was measured; as `formatting.at_sizes`."""
    phase = METRICS[check.metric].phase if check.metric in METRICS else ""
    measured = [one for one in cell(report.latency, check.artifact, check.target) if phase in ("", one.phase)]
    return at_sizes(measured[0].sizes) if measured and check.metric in MEASURED else ""


def nearest_misses(report: Report, target: str) -> tuple[BudgetCheck, ...]:
    """For each budget that no artifact meets on this target, the check that is nearest to its limit."""
    groups = budget_groups([check for check in report.budgets if check.target == target]).values()
    missed = [checks for checks in groups if all(check.verdict is not Verdict.PASS for check in checks)]
    return tuple(min(checks, key=lambda check: _distance(report, check)) for checks in missed)


def _distance(report: Report, check: BudgetCheck) -> float:
    shown = judged(report, check).value is not None and check.excess is not None
    return abs(check.excess or 0.0) if shown else math.inf


def budget_groups(checks: Sequence[BudgetCheck]) -> dict[str, tuple[BudgetCheck, ...]]:
    """Checks by the text of their budget, in order."""
    return {
        text: tuple(check for check in checks if check.budget == text)
        for text in dict.fromkeys(check.budget for check in checks)
    }


def merged(checks: Sequence[BudgetCheck]) -> list[tuple[BudgetCheck, tuple[str, ...]]]:
    """Checks of one budget; identical ones on several targets (e.g. of a size) once, with all these targets."""
    found: dict[tuple[object, ...], tuple[BudgetCheck, list[str]]] = {}
    for check in checks:
        same = (check.artifact, check.estimate, check.verdict)
        found.setdefault(same, (check, []))[1].append(check.target)
    return [(check, tuple(targets)) for check, targets in found.values()]


def open_parity(report: Report) -> tuple[ParityCheck, ...]:
    """Parity checks that did not pass, failures first."""
    left = [check for check in report.parity if check.verdict is not Verdict.PASS]
    return tuple(sorted(left, key=lambda check: check.verdict is not Verdict.FAIL))


def failures(report: Report) -> tuple[tuple[RecipeFailure, tuple[str, ...]], ...]:
    """Recipes that could not be made, each reason once with the names of all that it concerns."""
    found: dict[tuple[str, str], list[RecipeFailure]] = {}
    for one in report.failures:
        found.setdefault((one.message, one.hint), []).append(one)
    return tuple((same[0], tuple(one.recipe for one in same)) for same in found.values())


def counts(report: Report) -> tuple[tuple[str, int, int], ...]:
    """How many checks of each kind pass, as (kind, passed, all), without empty kinds; of parity, those judged."""
    made = [Verdict.PASS] * len(report.artifacts) + [Verdict.FAIL] * len(report.failures)
    kinds: dict[str, list[Verdict]] = {
        "made": made if report.failures else [],
        "targets": [outcome.verdict for outcome in report.outcomes],
        "parity": [check.verdict for check in report.parity if check.verdict is not Verdict.INCONCLUSIVE],
        "budgets": [check.verdict for check in report.budgets],
    }
    return tuple((kind, found.count(Verdict.PASS), len(found)) for kind, found in kinds.items() if found)


def is_upper_limit(check: BudgetCheck) -> bool:
    """True if values below the limit are good."""
    return METRICS[check.metric].lower_is_better if check.metric in METRICS else True


def warnings(report: Report) -> tuple[str, ...]:
    """Warnings of the run, then those of each artifact with its name."""
    made = (f"{artifact.recipe}: {text}" for artifact in report.artifacts for text in artifact.warnings)
    return tuple(dict.fromkeys((*report.warnings, *_missing(report), *made)))


def _missing(report: Report) -> Iterator[str]:
    """What was not measured on each target, once for each reason."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in report.missing:
        groups.setdefault((one.target, one.reason, one.hint), []).append(one.artifact)
    for (target, reason, hint), artifacts in groups.items():
        yield f"Not measured on {target}: {', '.join(artifacts)}. {reason}{f' Hint: {hint}' if hint else ''}"


def artifact_names(report: Report) -> list[str]:
    """Every artifact in the report, in order."""
    made = [artifact.recipe for artifact in report.artifacts]
    parts = (report.parity, report.accuracy, report.latency, report.measurements, report.budgets)
    return list(dict.fromkeys([*made, *(entry.artifact for part in parts for entry in part)]))


def _target_names(report: Report) -> list[str]:
    parts = (report.outcomes, report.latency, report.measurements, report.budgets)
    return list(dict.fromkeys(entry.target for part in parts for entry in part))


def _outcome(report: Report, target: str) -> Outcome | None:
    return next((outcome for outcome in report.outcomes if outcome.target == target), None)


def _rows(report: Report, target: str) -> Iterator[Row]:
    for artifact in _shown_on(report, target):
        latencies = [entry for entry in report.latency if (entry.artifact, entry.target) == (artifact, target)]
        for latency in latencies or (None,):
            yield _row(report, artifact, target, latency)


def _row(report: Report, artifact: str, target: str, latency: Latency | None) -> Row:
    outcome = _outcome(report, target)
    measurement = _measurement(report, artifact, target, latency)
    return Row(
        artifact,
        target,
        next((made for made in report.artifacts if made.recipe == artifact), None),
        parity(report, artifact, target),
        _accuracy(report, artifact, target),
        latency,
        measurement,
        tuple(check for check in report.budgets if (check.artifact, check.target) == (artifact, target)),
        withheld(report, artifact, target) or ("" if latency else NOT_MEASURED),
        outcome is not None and outcome.chosen == artifact,
    )


def _shown_on(report: Report, target: str) -> list[str]:
    """Artifacts with a figure on this target, and those that failed or have one on no target: nothing disappears."""
    measured = {(entry.target, entry.artifact) for part in (report.latency, report.budgets) for entry in part}
    anywhere = {artifact for _, artifact in measured}
    return [
        name
        for name in artifact_names(report)
        if name not in anywhere or (target, name) in measured or report.parity_of(name) is Verdict.FAIL
    ]


def _accuracy(report: Report, artifact: str, target: str) -> Accuracy | None:
    found = [entry for entry in report.accuracy if entry.artifact == artifact]
    return next((entry for entry in found if entry.where == target), found[0] if found else None)


def _measurement(report: Report, artifact: str, target: str, latency: Latency | None) -> Measurement | None:
    return next(
        (
            entry
            for entry in report.measurements
            if (entry.artifact, entry.target, entry.metric) == (artifact, target, "latency")
            and (latency is None or entry.sizes == latency.sizes)
        ),
        None,
    )


def _is_emulated(report: Report, artifact: str, target: str) -> bool:
    facts = report.facts.get(target)
    declared = facts is not None and facts.emulated
    graded = any(
        entry.trust.grade == "E" for entry in report.latency if (entry.artifact, entry.target) == (artifact, target)
    )
    return (
        declared
        or graded
        or any(entry.emulated for entry in report.measurements if (entry.artifact, entry.target) == (artifact, target))
    )
