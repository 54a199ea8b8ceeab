"""docs/architecture.md and its picture show the rooms that there are."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from benchmarks.walks import WALKS
from tests.architecture.test_layout import packages_on_disk

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "docs" / "pictures" / "rooms.py"


def rooms() -> set[str]:
    return {package.removeprefix("edgekit.").replace(".", "/") for package in packages_on_disk(ROOT)} - {"edgekit"}


def test_the_page_has_one_sentence_for_every_room() -> None:
    listed = re.findall(r"^\| `([a-z/]+)` \| [A-Z]", PAGE, re.MULTILINE)

    assert sorted(listed) == sorted(rooms())


def test_the_picture_is_what_its_script_draws_and_shows_every_room() -> None:
    drawn = runpy.run_path(str(SCRIPT))

    houses = [house for row in drawn["ROWS"] for house in row]
    assert SCRIPT.with_suffix(".svg").read_text(encoding="utf-8") == drawn["picture"]()
    assert {house.name for house in houses} | {
        f"{house.name}/{name}" for house in houses for names in house.rows for name in names
    } == rooms()


def test_the_page_names_the_goal_of_each_walk() -> None:
    goals = dict(re.findall(r"^\| `(\w+)` \| \d+, (\d+) \|", PAGE, re.MULTILINE))

    assert goals == {one.command: str(one.goal) for one in WALKS}


@pytest.mark.parametrize("place", re.findall(r"`((?:\w+/)+\w+\.py)`", PAGE))
def test_every_file_that_the_page_names_is_there(place: str) -> None:
    assert "NAME" in place or any((base / place).is_file() for base in (ROOT, ROOT / "src" / "edgekit"))
