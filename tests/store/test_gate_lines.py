from __future__ import annotations

import pytest

from edgekit.core.errors import Unreadable
from edgekit.core.reports.history import Accepted, Line, Run
from edgekit.core.verdict import Verdict
from edgekit.store.database import Store
from edgekit.store.gate_lines import add_lines, lines_of
from edgekit.store.schema import LINES


def line(value: float) -> Line:
    return Run(created="2026-01-01", commit="c0ffee", verdict=Verdict.PASS, values={"net/onnx-fp32@local": value})


def test_lines_of_a_project_come_back_once_and_in_order(store: Store) -> None:
    accepted = Accepted(created="2026-01-01", commit="", why="larger", models=("net",))
    lines = (line(3e-3), accepted, line(1e-3))

    added = add_lines(store, "acme/kws", lines)
    again = add_lines(store, "acme/kws", (*lines, line(2e-3)))
    other = add_lines(store, "acme/vad", lines[:1])

    assert (added, again, other) == (3, 1, 1)
    assert lines_of(store, "acme/kws") == (*lines, line(2e-3))
    assert lines_of(store, "acme/vad") == lines[:1]
    assert lines_of(store, "acme/none") == ()


def test_a_damaged_line_is_named(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(LINES.insert().values(digest="d", project="p", content='{"kind":"run"}'))

    with pytest.raises(Unreadable, match="Line 1 of the history"):
        lines_of(store, "p")
