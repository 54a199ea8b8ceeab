from __future__ import annotations

from pathlib import Path

from edgekit.cli.pages import pages


def test_the_pages_in_the_documentation_are_what_help_prints(repository: Path) -> None:
    written = (repository / "docs" / "cli.md").read_text(encoding="utf-8")

    assert written == pages(), "run: python -m edgekit.cli.pages > docs/cli.md"
