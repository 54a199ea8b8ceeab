"""Every JSON document that a command prints is called ...Report and lives in core/reports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = (
    "src/edgekit/core",
    "src/edgekit/flows",
    "src/edgekit/cli",
    "src/edgekit/report",
    "devices",
    "export",
    "runtime",
)
# They move with the commands that print them.
ELSEWHERE = {"Prediction", "QualityReport", "SearchReport", "TrainReport"}


def documents() -> Iterator[tuple[str, str]]:
    """Class and module of every struct that names its command and its schema version."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and {"command", "schema_version"} <= fields(node):
                    yield node.name, str(path.relative_to(ROOT))


def fields(node: ast.ClassDef) -> set[str]:
    lines = (line.target for line in node.body if isinstance(line, ast.AnnAssign))
    return {target.id for target in lines if isinstance(target, ast.Name)}


def test_documents_are_called_reports_and_live_together() -> None:
    found = {name: module for name, module in documents() if name not in ELSEWHERE}

    assert [name for name in found if not name.endswith("Report")] == []
    assert [name for name, module in found.items() if not module.startswith("src/edgekit/core/reports/")] == []
    assert len(found) >= 20
