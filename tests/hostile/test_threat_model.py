"""docs/threat-model.md and guards/rows.py name the same promises, and every guard is where its row says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.hostile.guards.guard import Guard
from tests.hostile.guards.rows import GUARDS


@pytest.fixture(scope="module")
def rows(repository: Path) -> dict[str, str]:
    """The test of each promise of the page, by its name."""
    text = (repository / "docs" / "threat-model.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([\w-]+)` \|.*\| (tests/\S+\.py) \|$", text, re.MULTILINE))


def test_every_promise_has_a_guard_and_a_test(rows: dict[str, str]) -> None:
    assert {guard.name: guard.test.partition("::")[0] for guard in GUARDS} == rows


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_guard_is_in_one_place_and_its_test_exists(guard: Guard, repository: Path) -> None:
    text = (repository / guard.file).read_text(encoding="utf-8")
    file, _, name = guard.test.partition("::")
    functions = {
        node.name
        for node in ast.walk(ast.parse((repository / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }

    assert text.count(guard.old) == 1
    assert guard.old != guard.new
    if guard.file.endswith(".py"):
        ast.parse(text.replace(guard.old, guard.new))
    assert not name or name in functions
