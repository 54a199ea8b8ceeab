"""The table of docs/qat.md is what its rows give, and training with rounding closes what int8 loses."""

from __future__ import annotations

import pytest
from benchmarks.qat.page import PAGE, Row, read_rows, table_of

from edgekit.core.statistics.intervals import paired_drop

ROWS = {(row.net, row.training, row.recipe): row for row in read_rows()}


def test_the_table_is_what_the_rows_give() -> None:
    assert "\n".join(table_of(list(ROWS.values()))) in PAGE.read_text(encoding="utf-8")


def test_an_accuracy_is_that_of_its_bits() -> None:
    for row in ROWS.values():
        assert row.correct().mean() == pytest.approx(row.accuracy)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_three_quarters_of_a_large_loss_are_closed(kind: str) -> None:
    whole, int8, learned = (_of("plain", f"{kind}-fp32"), _of("plain", f"{kind}-int8"), _of("rounding", f"{kind}-int8"))

    lost = paired_drop(whole.correct(), int8.correct())
    gain = paired_drop(learned.correct(), int8.correct())

    assert lost.low > 0.02
    assert gain.low > 0.75 * lost.value


def _of(training: str, recipe: str) -> Row:
    (found,) = (row for key, row in ROWS.items() if key[:2] == ("outliers", training) and key[2].startswith(recipe))
    return found
