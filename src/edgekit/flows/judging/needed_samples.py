"""How many samples an accuracy needs: said before it is measured, and again where too few could not decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from edgekit.core.budget import Budget
from edgekit.core.reports.report import Accuracy, Estimate
from edgekit.core.spec.metric import metric_unit
from edgekit.core.statistics.intervals import disagreeing, needed_n, paired_drop_width, wilson_width
from edgekit.core.system.progress import Progress

# Before anything is measured: int8 of common classifiers changes between 1 and 10 % of the predictions.
CHANGED: Final = 0.05
# The metric that counts hits, whose intervals follow from their number.
HITS: Final = "accuracy"
# Half the width that an accuracy is usually wanted in, and the narrowest that is asked for: 1 and 0.1 points.
_USUAL_WIDTH: Final = 0.01
_NARROWEST: Final = 0.001


def expected_widths(budgets: Sequence[Budget], max_drop: float | None, count: int, metric: str = HITS) -> Iterator[str]:
    """For each criterion on accuracy, the interval that `count` samples will give, and how many are needed.

    Args:
        max_drop: The largest drop of `--max-drop`, as a share of 1.
        metric: That of the model. Of others than a count of hits, nothing is known in advance.
    """
    if metric != HITS:
        return
    drops = {f"--max-drop {100 * max_drop:g}pt": max_drop} if max_drop else {}
    drops |= {budget.text: budget.limit for budget in budgets if budget.metric == "accuracy.drop" and budget.limit > 0}
    for text, limit in drops.items():
        assumed = f", if {100 * CHANGED:g} % of the predictions change"
        yield f"{text}: {_sentence(count, limit, _drop_width(CHANGED))}{assumed}"
    for budget in budgets:
        if budget.metric == "accuracy":
            yield f"{budget.text}: {_sentence(count, _USUAL_WIDTH, partial(wilson_width, budget.limit))}"


def say_widths(
    budgets: Sequence[Budget], max_drop: float | None, count: int, progress: Progress, metric: str = HITS
) -> None:
    """Report `expected_widths` as progress, before the work starts."""
    for sentence in expected_widths(budgets, max_drop, count, metric):
        with progress.stage(sentence):
            pass


def what_decides(budget: Budget, found: Accuracy) -> str:
    """How many samples would decide a budget on a quality or its drop that `found` did not; empty if not known."""
    figure = found.drop if budget.is_on_drop else found.quality
    if figure.value is None or not figure.n or metric_unit(found.metric) != "ratio":
        return ""
    width = max(abs(budget.limit - figure.value), _NARROWEST)
    if found.metric != HITS:
        return _sentence(figure.n, width, _shrinking(figure)) if figure.low is not None else ""
    if not budget.is_on_drop:
        return _sentence(figure.n, width, partial(wilson_width, figure.value))
    if found.detectable is None:
        return ""
    return _sentence(figure.n, width, _drop_width(disagreeing(found.detectable, figure.n) / figure.n))


def _drop_width(share: float) -> Callable[[int], float]:
    return lambda count: paired_drop_width(share * count, count)


def _shrinking(figure: Estimate) -> Callable[[int], float]:
    """Half the width of the interval with another number of samples: it shrinks with the root of their number."""
    half = ((figure.high or 0.0) - (figure.low or 0.0)) / 2
    return lambda count: half * math.sqrt(figure.n / count)


def _sentence(count: int, width: float, width_of: Callable[[int], float]) -> str:
    """`64 samples give an interval of ±5.7 pt; about 2,100 are needed for ±1 pt`."""
    half = width_of(count)
    given = f"{count:,} samples give an interval of ±{_points(half)} pt"
    if half <= width:
        return given
    needed = needed_n(width, width_of)
    many = "more than 1,000,000" if needed is None else f"about {_rounded(needed):,}"
    return f"{given}; {many} are needed for ±{_points(width)} pt"


def _points(share: float) -> str:
    return f"{100 * share:.2g}"


def _rounded(count: int) -> int:
    """Two significant digits: more would be a promise."""
    return int(float(f"{count:.2g}"))
