from __future__ import annotations

import pytest

from edgekit.train.fitting.optimizers import rate_at
from edgekit.train.options import TrainOptions


@pytest.mark.parametrize(
    ("schedule", "first", "last"),
    [
        ("constant", 1.0, 1.0),
        ("cosine", 1.0, 0.0),
        ("linear", 1.0, 0.01),
        ("step", 1.0, 0.01),
        ("one-cycle", 0.04, 0.0),
    ],
)
def test_schedules_begin_and_end_where_they_should(schedule: str, first: float, last: float) -> None:
    options = TrainOptions(epochs=10, learning_rate=1.0, schedule=schedule)  # type: ignore[arg-type]  # parametrized

    assert rate_at(options, 0, 10) == pytest.approx(first, abs=1e-3)
    assert rate_at(options, 99, 10) == pytest.approx(last, abs=1e-3)


def test_warmup_rises_to_the_full_rate() -> None:
    options = TrainOptions(epochs=10, learning_rate=1.0, warmup_epochs=2)

    rates = [rate_at(options, step, 10) for step in range(21)]

    assert rates[:20] == sorted(rates[:20])
    assert rates[20] == 1.0
