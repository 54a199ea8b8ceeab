"""The page of models, recipes and formats says what was measured, and nothing else."""

from __future__ import annotations

from benchmarks.matrix import PAGE, read_rows
from benchmarks.matrix_page import page

from edgekit.core.refusals import REFUSALS


def test_the_page_is_what_the_rows_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read_rows())


def test_no_cell_is_an_error_and_every_refusal_has_a_reason() -> None:
    rows = read_rows()

    assert [row for row in rows if row.verdict == "error"] == []
    assert {row.code for row in rows if row.verdict == "refused"} <= set(REFUSALS)


def test_every_model_passes_in_float_where_it_was_measured() -> None:
    whole = [row for row in read_rows() if row.recipe.endswith("-fp32")]

    assert {row.model for row in whole if row.verdict != "pass"} == set()
