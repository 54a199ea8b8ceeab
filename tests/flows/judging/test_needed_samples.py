"""How many samples an accuracy needs is said before it is measured, and where too few decided nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from edgekit.core.budget import Budget
from edgekit.core.reports.report import Accuracy, Estimate
from edgekit.core.statistics.intervals import Interval, paired_drop, wilson
from edgekit.core.verdict import Verdict
from edgekit.flows.judging.needed_samples import expected_widths, say_widths, what_decides


def measured(lost: int, won: int, count: int) -> Accuracy:
    """The accuracy of an artifact that loses and wins some of the samples that the reference has all but `won` of."""
    reference, artifact = np.ones(count, bool), np.ones(count, bool)
    artifact[:lost], reference[lost : lost + won] = False, False
    drop = paired_drop(reference, artifact)
    quality, before = (estimate(wilson(int(one.sum()), count)) for one in (artifact, reference))
    return Accuracy("onnx-int8", "onnxruntime", "accuracy", quality, before, estimate(drop), drop.detectable)


def estimate(found: Interval) -> Estimate:
    return Estimate(found.value, found.low, found.high, found.n)


def test_what_a_drop_needs_is_said_in_advance() -> None:
    said = list(expected_widths([Budget.parse("accuracy.drop <= 1 pt")], 0.005, 64))

    assert said == [
        "--max-drop 0.5pt: 64 samples give an interval of ±7.7 pt; about 7,800 are needed for ±0.5 pt, "
        "if 5 % of the predictions change",
        "accuracy.drop <= 1 pt: 64 samples give an interval of ±7.7 pt; about 2,000 are needed for ±1 pt, "
        "if 5 % of the predictions change",
    ]


def test_what_an_accuracy_needs_is_said_in_advance() -> None:
    said = list(expected_widths([Budget.parse("accuracy >= 98 %"), Budget.parse("size <= 1 MB")], None, 64))

    assert said == ["accuracy >= 98 %: 64 samples give an interval of ±4.3 pt; about 790 are needed for ±1 pt"]


def test_enough_samples_are_not_asked_for_more() -> None:
    (said,) = expected_widths([Budget.parse("accuracy.drop <= 1 pt")], None, 100_000)

    assert "needed" not in said


def test_an_undecided_drop_says_how_many_would_decide_it() -> None:
    budget, found = Budget.parse("accuracy.drop <= 1 pt"), measured(2, 2, 64)

    assert budget.judge(found.drop.low or 0, found.drop.high or 0) is Verdict.INCONCLUSIVE
    # Both disagree on 4 of 64: z^2 * 0.0625 / 0.01^2 = 2,400.
    assert what_decides(budget, found) == ("64 samples give an interval of ±8.1 pt; about 2,500 are needed for ±1 pt")


def test_an_undecided_accuracy_needs_its_distance_from_the_limit() -> None:
    budget, found = Budget.parse("accuracy >= 95 %"), measured(2, 0, 64)

    assert "are needed for ±1.9 pt" in what_decides(budget, found)


def test_an_undecided_overlap_needs_its_own_width_in_a_root_law() -> None:
    quality = Estimate(0.9, 0.85, 0.95, 40)
    found = Accuracy("onnx-int8", "onnxruntime", "miou", quality, quality, Estimate(0.0, 0.0, 0.0, 40))

    # Half of the width is 5 points; for 2 points, (5 / 2)^2 times as many are needed.
    said = what_decides(Budget.parse("miou >= 0.92"), found)

    assert said == "40 samples give an interval of ±5 pt; about 250 are needed for ±2 pt"
    assert list(expected_widths([Budget.parse("miou >= 0.92")], 0.01, 40, "miou")) == []


def test_a_value_at_the_limit_asks_for_no_endless_number() -> None:
    found = measured(0, 0, 64)

    assert what_decides(Budget.parse("accuracy.drop <= 0 pt"), found).endswith("needed for ±0.1 pt")


def test_what_was_not_measured_has_no_number() -> None:
    missing = Estimate(None, reason="the samples have no labels")

    assert (
        what_decides(Budget.parse("accuracy >= 95 %"), Accuracy("a", "b", "accuracy", missing, missing, missing)) == ""
    )


class Titles:
    """Progress that keeps the titles of its stages."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        self.titles.append(title)
        yield

    def step(self, done: int, total: int, note: str = "") -> None:
        raise AssertionError


@pytest.mark.parametrize(("max_drop", "count"), [(None, 0), (0.01, 1)])
def test_the_sentences_are_progress(max_drop: float | None, count: int) -> None:
    titles = Titles()

    say_widths((), max_drop, 64, titles)

    assert len(titles.titles) == count
