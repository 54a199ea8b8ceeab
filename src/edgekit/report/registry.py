"""The renderings that a file name selects."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from edgekit.core.errors import UserError
from edgekit.core.reports.report import Report
from edgekit.core.system import documents
from edgekit.core.system.files import write_atomic

# Suffix: what turns a report into text; a new rendering is one line here. JSON is the source.
RENDERINGS: Final = {
    ".html": "edgekit.report.pages.html:render_html",
    ".md": "edgekit.report.markdown:render_markdown",
    ".xml": "edgekit.report.junit:render_junit",
}
SUFFIXES: Final = (".json", *RENDERINGS)
# A name with two suffixes selects the format of a dashboard.
DASHBOARDS: Final = {
    ".bencher.json": "edgekit.report.dashboards:render_bencher",
    ".benchmark-action.json": "edgekit.report.dashboards:render_benchmark_action",
}
# The same for the documents of other commands, by their command.
OTHERS: Final = {
    "bisect": {
        ".html": "edgekit.report.pages.bisect:render_html",
        ".svg": "edgekit.report.bisect:render_svg",
        ".txt": "edgekit.report.bisect:render_text",
    },
    "check": {
        ".bencher.json": "edgekit.report.check:render_bencher",
        ".benchmark-action.json": "edgekit.report.check:render_benchmark_action",
        ".codequality.json": "edgekit.report.check:render_code_quality",
        ".html": "edgekit.report.pages.check:render_html",
        ".md": "edgekit.report.check:render_markdown",
        ".xml": "edgekit.report.check:render_junit",
    },
    "compare": {
        ".html": "edgekit.report.pages.compare:render_html",
        ".md": "edgekit.report.comparison:render_markdown",
    },
    "history plot": {".svg": "edgekit.report.runs.plotted:render_svg"},
    "sweep": {".html": "edgekit.report.pages.sweep:render_html"},
    "tune": {
        ".html": "edgekit.report.pages.tune:render_html",
        ".md": "edgekit.report.tune:render_markdown",
    },
}


class CommandDocument(Protocol):
    """The document of one command."""

    @property
    def command(self) -> str:
        """The words that name the command."""


def endings(command: str) -> tuple[str, ...]:
    """What the name of a file for the document of `command` may end in."""
    return (".json", *OTHERS[command]) if command in OTHERS else SUFFIXES


def write_document(document: CommandDocument, path: Path) -> None:
    """Write the document of a command in `OTHERS` in the format that the file name selects.

    Raises:
        UserError: No rendering has this ending; the message lists the known ones.
        MissingExtra, EnvironmentFault: As `write_report`.
    """
    allowed = endings(document.command)
    name = path.name.lower()
    if not name.endswith(allowed):
        suffix = ".html" if ".html" in allowed else allowed[-1]
        raise UserError(f"'{path.name}' does not end in {', '.join(allowed)}.", hint=f"--report {path.stem}{suffix}")
    place = next((place for end, place in OTHERS[document.command].items() if name.endswith(end)), "")
    _write(document, path, place)


def page_of(document: CommandDocument) -> str:
    """The HTML page of a report or of the document of another command; MissingExtra as in `write_report`."""
    return _renderer(OTHERS.get(document.command, RENDERINGS)[".html"])(document)


def write_report(report: Report, path: Path) -> None:
    """Write `report` in the format that the suffix of `path` selects, completely or not at all.

    Raises:
        UserError: No rendering has this suffix; the message lists the known ones.
        MissingExtra: The rendering needs a package that is not installed.
        EnvironmentFault: The folder cannot be written, or the disk is full.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(
            f"'{path.name}' does not end in {', '.join(SUFFIXES)}.",
            hint=f"--report {path.with_suffix('.html')}",
        )
    dashboard = next((place for end, place in DASHBOARDS.items() if path.name.lower().endswith(end)), "")
    _write(report, path, dashboard or RENDERINGS.get(suffix, ""))


def _write(document: Any, path: Path, place: str) -> None:
    """What the function at `place` makes of it; JSON without one."""
    if not place:
        documents.write(path, document)
        return
    write_atomic(path, _renderer(place)(document).encode("utf-8", "replace"))


def _renderer(place: str) -> Callable[[Any], str]:
    module, _, function = place.partition(":")
    render: Callable[[Any], str] = getattr(importlib.import_module(module), function)
    return render
