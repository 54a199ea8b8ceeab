"""Values walk through few files, and bundles are opened once, in all four commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.walks import WALKS, Trace, table, traces


@pytest.mark.slow
def test_every_walk_is_as_short_as_its_goal() -> None:
    found = traces()

    assert {one.walk.command: len(one.files) for one in found if not 1 < len(one.files) <= one.walk.goal} == {}
    assert [max(one.opens.values(), default=0) for one in found] == [0, 1, 1, 1]


def test_a_value_counts_by_itself_and_its_text_in_a_result_as_a_key() -> None:
    walk = WALKS[2]
    trace = Trace(walk, files={"flows/run.py": "run"}, keys={"flows/run.py": "run", "report/rows.py": "rows"})

    assert trace.counts(walk.value)
    assert trace.counts(Path(walk.value))
    assert trace.counts((walk.value,))
    assert not trace.counts([walk.value, "--input"])
    assert not trace.counts("".join(["made", "/bundle"]))
    assert list(trace.only_keys()) == ["report/rows.py"]


def test_a_row_shows_the_command_and_its_goal() -> None:
    lines = list(table([Trace(WALKS[0], files={"flows/build.py": "build_order"})], verbose=True))

    assert lines[1].split() == ["build", "1", "10", "0", "0", "0"]
    assert lines[2].split() == ["flows/build.py", "build_order"]
