"""`edgekit explain`: causes of the times in a report, with evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from edgekit.core.errors import EdgekitError, Unreadable
from edgekit.core.reports.check import CHECK_SCHEMA, CheckReport
from edgekit.core.reports.explain import ExplainReport
from edgekit.core.reports.report import REPORT_SCHEMA, Report
from edgekit.core.system import documents
from edgekit.core.system.files import read_bytes
from edgekit.flows.judging.causes import TimedArtifact
from edgekit.flows.judging.explained import explain_difference, found_in, graphs_in, timed_artifacts, wanted_graphs
from edgekit.flows.judging.islands import QuantizedGraph
from edgekit.flows.opening.artifacts import opened

_REPORTS: Final = ("build", "profile", "check", "export", "validate")


def explain(path: str | Path, other: str | Path | None = None) -> ExplainReport:
    """Causes of what is slow in a report, or of what differs between two.

    Args:
        path: A report (`.json`) of `build`, `profile` or `check`. Its bundle is inspected as well, if it still exists.
        other: A second report, whose times differ.

    Raises:
        Unreadable: Not a report, or a different document of edgekit.
        UserError: The reports have no artifact in common.
    """
    unseen: list[str] = []
    timed = _timed_of(Path(path), unseen)
    causes, unexplained = found_in(timed)
    if other is not None:
        explain_difference(timed, _timed_of(Path(other), unseen), causes, unexplained)
    return ExplainReport(
        report=str(path),
        other=str(other or ""),
        causes=tuple(dict.fromkeys(causes)),
        unexplained=tuple(unexplained),
        unseen=tuple(dict.fromkeys(unseen)),
    )


def read_reports(path: Path) -> tuple[Report, ...]:
    """The report in a file, or the reports of a `check`.

    Raises:
        Unreadable: No such file, or it is not a report of edgekit.
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
        raise Unreadable(
            f"{what} is a document of '{command}', not a report.", hint="edgekit profile BUNDLE --report FILE.json"
        )
    return (documents.decode(data, Report, what=what, newest=REPORT_SCHEMA),)


def _timed_of(path: Path, unseen: list[str]) -> list[TimedArtifact]:
    return [row for report in read_reports(path) for row in timed_artifacts(report, _graphs(report, path, unseen))]


def _graphs(report: Report, path: Path, unseen: list[str]) -> dict[str, QuantizedGraph]:
    """The quantized ONNX artifacts as the engine runs them, read from the bundle where it lies."""
    wanted = wanted_graphs(report)
    bundle = next(
        (place for place in (Path(report.bundle), path.parent / Path(report.bundle).name) if place.exists()), None
    )
    if not wanted or bundle is None:
        unseen += [f"the operators of '{one.recipe}': '{report.bundle}' does not exist" for one in wanted]
        return {}
    try:
        with opened(bundle, with_samples=False) as there:
            return graphs_in(there, wanted, unseen)
    except EdgekitError as err:
        unseen.append(f"the operators of the artifacts: {err.message}")
        return {}
