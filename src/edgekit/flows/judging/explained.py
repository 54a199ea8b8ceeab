"""Explained: a report with the causes of slow times, and the times without a cause."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.facts import Facts
from edgekit.core.reports.explain import Cause
from edgekit.core.reports.report import Report
from edgekit.core.units import format_value
from edgekit.flows.judging.causes import ALWAYS, TimedArtifact, no_dot_product, small_layers, threads_between
from edgekit.flows.judging.islands import QuantizedGraph, read_quantized
from edgekit.flows.opening.artifacts import Opened

_FIRST_RUN: Final = 50
_TWO_MODES: Final = 1.25
_DIFFERENT: Final = 1.1
_FACTS: Final = ("cpu", "architecture", "governor", "clock_hz", "throttled", "engines", "system", "cores")


def explained(report: Report, found: Opened) -> Report:
    """The report with the causes of slow times, and the times without a cause; `found` is its bundle."""
    wanted = wanted_graphs(report)
    graphs = graphs_in(found, wanted, [])
    causes, unexplained = found_in(list(timed_artifacts(report, graphs)))
    return msgspec.structs.replace(report, causes=tuple(dict.fromkeys(causes)), unexplained=tuple(unexplained))


def found_in(timed: Sequence[TimedArtifact]) -> tuple[list[Cause], list[str]]:
    """Causes in one report, and observations that no cause explains."""
    causes = [cause for row in timed for find in ALWAYS for cause in find(row)]
    causes += [cause for slow in timed for fast in timed for cause in threads_between(slow, fast)]
    unexplained: list[str] = []
    for row in timed:
        _explain_slow_int8(row, timed, causes, unexplained)
        unexplained += _unexplained(row, causes)
    return causes, unexplained


def timed_artifacts(report: Report, graphs: Mapping[str, QuantizedGraph]) -> Iterator[TimedArtifact]:
    """Every artifact that was timed on a target, with what the report contains about it."""
    measured = {(one.target, one.artifact, tuple(one.sizes.items())): one for one in report.measurements}
    for latency in report.latency:
        measurement = measured.get((latency.target, latency.artifact, tuple(latency.sizes.items())))
        if measurement is not None and not measurement.emulated:
            artifact = next((one for one in report.artifacts if one.recipe == latency.artifact), None)
            yield TimedArtifact(report, latency, measurement, artifact, graphs.get(latency.artifact))


def graphs_in(there: Opened, wanted: Sequence[Artifact], unseen: list[str]) -> dict[str, QuantizedGraph]:
    """The quantized graphs of the wanted artifacts; unreadable ones are added to `unseen`."""
    found = {}
    try:
        for one in wanted:
            if one.recipe in there.files:
                found[one.recipe] = read_quantized(there.files[one.recipe])
    except EdgekitError as err:
        unseen.append(f"the operators of the artifacts: {err.message}")
    return found


def wanted_graphs(report: Report) -> list[Artifact]:
    """The artifacts whose graphs may show why int8 is slow; the precision of a bare file is unknown."""
    return [
        one
        for one in report.artifacts
        if one.format == "onnx" and ("int8" in one.recipe or one.precision in ("int8", ""))
    ]


def _explain_slow_int8(
    row: TimedArtifact, timed: Sequence[TimedArtifact], causes: list[Cause], unexplained: list[str]
) -> None:
    """An int8 artifact that is no faster than the float one beside it needs a cause."""
    name, target = row.latency.artifact, row.latency.target
    if "int8" not in name or row.median_s is None:
        return
    beside = f"{name.partition('-')[0]}-fp32", target, row.latency.sizes
    plain = next(
        (one for one in timed if (one.latency.artifact, one.latency.target, one.latency.sizes) == beside), None
    )
    if plain is None or plain.median_s is None or row.median_s < plain.median_s:
        return
    if not _has_cause(causes, name, target):
        causes += [*small_layers(row), *no_dot_product(row)]
    if not _has_cause(causes, name, target):
        own, other = format_value(row.median_s, "s"), format_value(plain.median_s, "s")
        unexplained.append(f"'{name}' on {target} is not faster than float32: {own} and {other}")


def _unexplained(row: TimedArtifact, causes: Sequence[Cause]) -> Iterator[str]:
    """What stands out of one row and has no cause."""
    name, target = row.latency.artifact, row.latency.target
    if _has_cause(causes, name, target):
        return
    first = row.latency.first_run.value
    if first is not None and row.median_s and first > _FIRST_RUN * row.median_s:
        yield f"the first run of '{name}' on {target} takes {first / row.median_s:.0f} times as long as a later one"
    medians = [median(launch.values) for launch in row.measurement.launches if launch.values]
    if len(medians) > 1 and max(medians) > _TWO_MODES * min(medians):
        low, high = (format_value(one, "s") for one in (min(medians), max(medians)))
        yield f"the launches of '{name}' on {target} differ: medians from {low} to {high}"
    for check in row.report.budgets:
        if (check.artifact, check.target, check.verdict) == (name, target, "fail") and check.metric == "latency":
            yield f"'{check.budget}' is missed by '{name}' on {target}"


def explain_difference(
    timed: Sequence[TimedArtifact], others: Sequence[TimedArtifact], causes: list[Cause], unexplained: list[str]
) -> None:
    """Why an artifact has different times in two reports: threads, or different facts of the devices."""
    pairs = [(one, other) for one in timed for other in others if one.latency.artifact == other.latency.artifact]
    if not pairs:
        raise UserError("The reports have no artifact in common.", hint="edgekit profile BUNDLE --artifact RECIPE")
    for one, other in pairs:
        slow, fast = (one, other) if (one.median_s or 0.0) >= (other.median_s or 0.0) else (other, one)
        if slow.median_s is None or fast.median_s is None or slow.median_s < _DIFFERENT * fast.median_s:
            continue
        found = [*threads_between(slow, fast), *_facts_between(slow, fast)]
        found += [cause for find in ALWAYS for cause in find(slow)]
        causes += found
        if not found:
            before, after = format_value(slow.median_s, "s"), format_value(fast.median_s, "s")
            unexplained.append(f"'{slow.latency.artifact}' takes {before} in one report and {after} in the other")


def _facts_between(slow: TimedArtifact, fast: TimedArtifact) -> Iterator[Cause]:
    """One cause of all facts of the devices that differ."""
    differing = [
        f"{name}: {_shown(slow.facts, name)} where it is slow, {_shown(fast.facts, name)} where it is fast"
        for name in _FACTS
        if _shown(slow.facts, name) != _shown(fast.facts, name)
    ]
    if differing:
        command = f"edgekit profile {shlex.quote(slow.report.bundle)} --target {slow.latency.target}"
        yield slow.cause("the machines differ", "the facts of the two devices differ", differing, command)


def _shown(facts: Facts, name: str) -> str:
    """A fact as text; clocks within a tenth are the same."""
    value = getattr(facts, name)
    if name == "clock_hz" and value is not None:
        return f"{value / 1e9:.1f} GHz"
    return str(value)


def _has_cause(causes: Sequence[Cause], artifact: str, target: str) -> bool:
    return any((cause.artifact, cause.target) == (artifact, target) for cause in causes)
