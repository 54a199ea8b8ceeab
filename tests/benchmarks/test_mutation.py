"""The tool that counts which mutants the tests find: how it changes a module, and what it keeps."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks.mutation import page, rows
from benchmarks.mutation.__main__ import judged
from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.patching import changed_functions, functions_at, patch
from benchmarks.mutation.session import in_child
from benchmarks.mutation.subjects import SUBJECTS

SOURCE = textwrap.dedent(
    """
    LIMIT = 3

    def fits(size, limit=LIMIT):
        return size <= limit

    class Box:
        @property
        def sizes(self):
            return [size + 1 for size in (1, 2)]
    """
)


@pytest.mark.parametrize(("was", "now"), [("size <= limit", "size < limit"), ("size + 1", "size - 1")])
def test_the_code_of_a_mutant_is_put_into_the_functions_that_are_there(was: str, now: str) -> None:
    room: dict[str, Any] = {}
    exec(compile(SOURCE, "room.py", "exec"), room)
    before = (room["fits"](3), room["Box"]().sizes)

    changed = changed_functions(SOURCE, SOURCE.replace(was, now), "room.py")

    assert changed is not None
    assert patch(functions_at("room.py"), changed)
    assert (room["fits"](3), room["Box"]().sizes) != before


@pytest.mark.parametrize(("was", "now"), [("LIMIT = 3", "LIMIT = 4"), ("limit=LIMIT", "limit=None")])
def test_what_the_import_runs_needs_an_import(was: str, now: str) -> None:
    assert changed_functions(SOURCE, SOURCE.replace(was, now), "room.py") is None


def test_a_child_that_does_not_end_is_ended() -> None:
    def sleeps() -> int:
        time.sleep(600)
        return 0

    assert in_child(sleeps, 0.1) is None
    assert in_child(lambda: 7, 60) == 7


@pytest.mark.slow
def test_a_mutant_is_killed_by_the_tests_next_to_it_and_one_that_changes_nothing_survives() -> None:
    module = "src/edgekit/core/statistics/by_sample.py"
    source = (page.PAGE.parents[1] / module).read_text()
    changes = [("axis=1) == labels", "axis=1) != labels"), ("import Callable\n", "import Callable  # changed\n")]
    places = [source.index(was) for was, _ in changes]
    lines = [source.count("\n", 0, place) + 1 for place in places]

    mutants = [
        Mutant(line, line, was, now, source.replace(was, now, 1))
        for line, (was, now) in zip(lines, changes, strict=True)
    ]

    assert judged(module, ("tests/core/statistics/test_by_sample.py",), mutants, 1.0, 10.0) == ["killed", "survived"]


def test_every_survivor_has_a_reason_and_the_page_shows_the_scores() -> None:
    kept = {name: list(rows.read(name).values()) for name in SUBJECTS}

    assert page.table() in page.PAGE.read_text()
    assert [one for found in kept.values() for row in found for one in row.survivors if not one.reason] == []
    assert {name for name, found in kept.items() if {Path(row.module).name for row in found} - _names(name)} == set()


def _names(subject: str) -> set[str]:
    return {Path(module).name for module in SUBJECTS[subject].modules}
