"""The renderings that a file name selects."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

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
    if suffix == ".json" and not dashboard:
        documents.write(path, report)
        return
    module, _, function = (dashboard or RENDERINGS[suffix]).partition(":")
    text: str = getattr(importlib.import_module(module), function)(report)
    write_atomic(path, text.encode("utf-8", "replace"))
