"""`edgekit explain`: why a report's times are what they are, with evidence, or that it is not known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError, Unreadable, UserError
from edgekit.core.facts import Facts
from edgekit.core.reports.check import CHECK_SCHEMA, CheckReport
from edgekit.core.reports.explanation import Cause, Explanation
from edgekit.core.reports.report import REPORT_SCHEMA, Report
from edgekit.core.system import documents
from edgekit.core.system.files import read_bytes
from edgekit.core.units import format_value
from edgekit.flows.judging.causes import ALWAYS, Cell, no_dot_product, small_layers, threads_between
from edgekit.flows.judging.islands import QuantizedGraph, read_quantized
from edgekit.flows.opening.artifacts import Opened, opened

_FIRST_RUN: Final = 50
_TWO_MODES: Final = 1.25
_DIFFERENT: Final = 1.1
_REPORTS: Final = ("build", "profile", "check", "export", "validate")
_FACTS: Final = ("cpu", "architecture", "governor", "clock_hz", "throttled", "engines", "system", "cores")


def explain(path: str | Path, other: str | Path | None = None) -> Explanation:
    """Causes of what is slow in a report, or of what differs between two.

    Args:
        path: A report (`.json`) of `build`, `profile` or `check`. The bundle it names is looked into as well, where it
            still lies.
        other: A second report, whose times differ.

    Raises:
        Unreadable: No report, or another document of edgekit.
        UserError: The reports have no artifact in common.
    """
    unseen: list[str] = []
    cells = _cells_of(Path(path), unseen)
    causes, unexplained = _found_in(cells)
    if other is not None:
        _explain_difference(cells, _cells_of(Path(other), unseen), causes, unexplained)
    return Explanation(
        report=str(path),
        other=str(other or ""),
        causes=tuple(dict.fromkeys(causes)),
        unexplained=tuple(unexplained),
        unseen=tuple(dict.fromkeys(unseen)),
    )


def explained(report: Report, found: Opened) -> Report:
    """The report with the causes of what is slow in it, and what has none; `found` is the bundle it speaks of."""
    wanted = _wanted(report)
    graphs = _graphs_in(found, wanted, [])
    causes, unexplained = _found_in(list(_cells(report, graphs)))
    return msgspec.structs.replace(report, causes=tuple(dict.fromkeys(causes)), unexplained=tuple(unexplained))


def _found_in(cells: Sequence[Cell]) -> tuple[list[Cause], list[str]]:
    """Causes in one report, and observations that none of them accounts for."""
    causes = [cause for cell in cells for find in ALWAYS for cause in find(cell)]
    causes += [cause for slow in cells for fast in cells for cause in threads_between(slow, fast)]
    unexplained: list[str] = []
    for cell in cells:
        _explain_slow_int8(cell, cells, causes, unexplained)
        unexplained += _unexplained(cell, causes)
    return causes, unexplained


def read_reports(path: Path) -> tuple[Report, ...]:
    """The report in a file, or those that a `check` rests on.

    Raises:
        Unreadable: No such file, no document of edgekit, or one that is no report.
    """
    data = read_bytes(path, Unreadable)
    try:
        command = json.loads(data).get("command")
    except (ValueError, AttributeError, RecursionError):
        command = None
    what = f"'{path}'"
    if command == "check" and b'"policy"' in data:
        return documents.decode(data, CheckReport, what=what, newest=CHECK_SCHEMA).reports
    if command is not None and command not in _REPORTS:
        raise Unreadable(f"{what} is a document of '{command}', not a report.", hint="edgekit profile --report FILE")
    return (documents.decode(data, Report, what=what, newest=REPORT_SCHEMA),)


def _cells_of(path: Path, unseen: list[str]) -> list[Cell]:
    return [cell for report in read_reports(path) for cell in _cells(report, _graphs(report, path, unseen))]


def _cells(report: Report, graphs: Mapping[str, QuantizedGraph]) -> Iterator[Cell]:
    measured = {(one.target, one.artifact, tuple(one.sizes.items())): one for one in report.measurements}
    for latency in report.latency:
        measurement = measured.get((latency.target, latency.artifact, tuple(latency.sizes.items())))
        if measurement is not None and not measurement.emulated:
            artifact = next((one for one in report.artifacts if one.recipe == latency.artifact), None)
            yield Cell(report, latency, measurement, artifact, graphs.get(latency.artifact))


def _graphs(report: Report, path: Path, unseen: list[str]) -> dict[str, QuantizedGraph]:
    """The quantized ONNX artifacts as the engine runs them, read from the bundle where it lies."""
    wanted = _wanted(report)
    bundle = next(
        (place for place in (Path(report.bundle), path.parent / Path(report.bundle).name) if place.exists()), None
    )
    if not wanted or bundle is None:
        unseen += [f"the operators of '{one.recipe}': '{report.bundle}' is not there" for one in wanted]
        return {}
    try:
        with opened(bundle) as there:
            return _graphs_in(there, wanted, unseen)
    except EdgekitError as err:
        unseen.append(f"the operators of the artifacts: {err.message}")
        return {}


def _graphs_in(there: Opened, wanted: Sequence[Artifact], unseen: list[str]) -> dict[str, QuantizedGraph]:
    found = {}
    try:
        for one in wanted:
            if one.recipe in there.files:
                found[one.recipe] = read_quantized(there.files[one.recipe])
    except EdgekitError as err:
        unseen.append(f"the operators of the artifacts: {err.message}")
    return found


def _wanted(report: Report) -> list[Artifact]:
    """The artifacts whose graphs may tell why int8 is slow; a bare file does not say what it holds."""
    return [
        one
        for one in report.artifacts
        if one.format == "onnx" and ("int8" in one.recipe or one.precision in ("int8", ""))
    ]


def _explain_slow_int8(cell: Cell, cells: Sequence[Cell], causes: list[Cause], unexplained: list[str]) -> None:
    """An int8 artifact that is no faster than the float one beside it needs a cause."""
    name, target = cell.latency.artifact, cell.latency.target
    if "int8" not in name or cell.median_s is None:
        return
    beside = f"{name.partition('-')[0]}-fp32", target, cell.latency.sizes
    plain = next(
        (one for one in cells if (one.latency.artifact, one.latency.target, one.latency.sizes) == beside), None
    )
    if plain is None or plain.median_s is None or cell.median_s < plain.median_s:
        return
    if not _has_cause(causes, name, target):
        causes += [*small_layers(cell), *no_dot_product(cell)]
    if not _has_cause(causes, name, target):
        own, other = format_value(cell.median_s, "s"), format_value(plain.median_s, "s")
        unexplained.append(f"'{name}' on {target} is not faster than float32: {own} and {other}")


def _unexplained(cell: Cell, causes: Sequence[Cause]) -> Iterator[str]:
    """What stands out of one cell and has no cause."""
    name, target = cell.latency.artifact, cell.latency.target
    if _has_cause(causes, name, target):
        return
    first = cell.latency.first_run.value
    if first is not None and cell.median_s and first > _FIRST_RUN * cell.median_s:
        yield f"the first run of '{name}' on {target} takes {first / cell.median_s:.0f} times as long as a later one"
    medians = [median(launch.values) for launch in cell.measurement.launches if launch.values]
    if len(medians) > 1 and max(medians) > _TWO_MODES * min(medians):
        low, high = (format_value(one, "s") for one in (min(medians), max(medians)))
        yield f"the launches of '{name}' on {target} differ: medians from {low} to {high}"
    for check in cell.report.budgets:
        if (check.artifact, check.target, check.verdict) == (name, target, "fail") and check.metric == "latency":
            yield f"'{check.budget}' is missed by '{name}' on {target}"


def _explain_difference(
    cells: Sequence[Cell], others: Sequence[Cell], causes: list[Cause], unexplained: list[str]
) -> None:
    """Why the same artifact has other times in another report: threads, or facts that are not the same."""
    pairs = [(one, other) for one in cells for other in others if one.latency.artifact == other.latency.artifact]
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


def _facts_between(slow: Cell, fast: Cell) -> Iterator[Cause]:
    """One cause of all facts of the devices that differ."""
    differing = [
        f"{name}: {_shown(slow.facts, name)} where it is slow, {_shown(fast.facts, name)} where it is fast"
        for name in _FACTS
        if _shown(slow.facts, name) != _shown(fast.facts, name)
    ]
    if differing:
        command = f"edgekit profile {slow.report.bundle} --target {slow.latency.target}"
        yield slow.cause("the machines differ", "facts of the two measurements are not the same", differing, command)


def _shown(facts: Facts, name: str) -> str:
    """A fact as text; clocks within a tenth are the same."""
    value = getattr(facts, name)
    if name == "clock_hz" and value is not None:
        return f"{value / 1e9:.1f} GHz"
    return str(value)


def _has_cause(causes: Sequence[Cause], artifact: str, target: str) -> bool:
    return any((cause.artifact, cause.target) == (artifact, target) for cause in causes)
