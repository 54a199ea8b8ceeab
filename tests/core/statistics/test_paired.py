"""Pairs compared look by look: what the intervals cover, and what trimming is good for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgekit.core.statistics.intervals import direction, ratio_interval
from edgekit.core.statistics.paired import LOOKS, paired_p_value, paired_ratio

PAIRS = 8


def pairs(rng: np.random.Generator, effect: float, noise: float, count: int) -> tuple[list[float], list[float]]:
    level = 1e-3 * np.exp(rng.normal(0, 0.2, count))
    return list(level), list(level * effect * np.exp(rng.normal(0, noise, count)))


def decided(rng: np.random.Generator, effect: float, noise: float) -> str:
    """What the adaptive design says: up to four looks, each after eight more pairs."""
    a, b = pairs(rng, effect, noise, LOOKS * PAIRS)
    for look in range(1, LOOKS + 1):
        says = direction(paired_ratio(a[: look * PAIRS], b[: look * PAIRS]))
        if says != "inconclusive":
            return says
    return "inconclusive"


def test_all_looks_together_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(600):
        a, b = pairs(rng, 1.04, 0.03, LOOKS * PAIRS)
        found = [paired_ratio(a[: look * PAIRS], b[: look * PAIRS]) for look in range(1, LOOKS + 1)]
        missed += not all(one.low <= 1.04 <= one.high for one in found)

    assert missed / 600 <= 0.05


@pytest.mark.parametrize(("noise", "most"), [(0.01, 0.0), (0.02, 0.005), (0.04, 0.02)])
def test_looking_again_raises_no_false_alarm(noise: float, most: float) -> None:
    rng = np.random.default_rng(1)

    says = [decided(rng, 1.0, noise) for _ in range(600)]

    assert (says.count("slower") + says.count("faster")) / 600 <= most


def test_five_percent_are_found_at_the_first_look_where_it_is_quiet() -> None:
    rng = np.random.default_rng(2)

    assert {decided(rng, 1.05, 0.01) for _ in range(200)} == {"slower"}
    assert {decided(rng, 1.0, 0.01) for _ in range(200)} == {"equal"}


def test_a_disturbed_launch_hardly_widens_the_interval() -> None:
    a, b = pairs(np.random.default_rng(3), 1.0, 0.005, PAIRS)
    b[3] *= 2

    trimmed, plain = paired_ratio(a, b, looks=1), ratio_interval(a, b, paired=True)

    assert trimmed.high - trimmed.low < (plain.high - plain.low) / 10
    assert direction(trimmed) == "equal"


def test_a_drift_of_the_device_cancels() -> None:
    a = [1e-3 * 1.1**place for place in range(PAIRS)]

    found = paired_ratio(a, [1.05 * value for value in a])

    assert (found.low, found.value, found.high) == pytest.approx((1.05, 1.05, 1.05))


def test_p_values_agree_with_the_interval() -> None:
    rng = np.random.default_rng(4)
    for effect in (1.0, 1.02, 1.05):
        a, b = pairs(rng, effect, 0.02, PAIRS)
        found = paired_ratio(a, b, alpha=0.05)

        assert (paired_p_value(a, b) < 0.05) is not (found.low <= 1.0 <= found.high)


@pytest.mark.parametrize(("a", "b"), [([1.0] * 4, [1.0] * 4), ([1.0] * 6, [1.0] * 5), ([1.0] * 5, [0.0] * 5)])
def test_what_is_no_pairs_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="pairs"):
        paired_ratio(a, b)


@pytest.mark.parametrize("count", [5, 8, 13])
def test_the_interval_and_the_p_value_are_those_of_yuen_over_all_looks(count: int) -> None:
    a, b = pairs(np.random.default_rng(count), 1.03, 0.04, count)
    logs = np.log(np.asarray(b) / np.asarray(a))
    kept = count - 2 * int(0.2 * count)
    mean = float(stats.trim_mean(logs, 0.2))
    error = float(np.asarray(stats.mstats.winsorize(logs, (0.2, 0.2))).std(ddof=1)) * math.sqrt(count) / kept
    quantile = float(stats.t.ppf(1 - 0.01 / 3 / 2, kept - 1))

    found = paired_ratio(a, b, alpha=0.01, looks=3)

    ends = [math.exp(mean + side * quantile * error) for side in (0, -1, 1)]
    assert (found.value, found.low, found.high) == pytest.approx(ends, rel=1e-9)
    assert found.n == count
    assert found.detectable == pytest.approx(math.expm1((quantile + float(stats.t.ppf(0.8, kept - 1))) * error))
    tails = 2 * float(stats.t.sf(abs(mean / error), kept - 1))
    assert [paired_p_value(a, b, looks=looks) for looks in (1, 2)] == pytest.approx([tails, min(1.0, 2 * tails)])
    assert (paired_ratio(a, b), paired_p_value(a, b)) == (
        paired_ratio(a, b, alpha=0.05, looks=4),
        paired_p_value(a, b, looks=4),
    )


def test_a_p_value_is_one_at_most_and_without_noise_one_or_zero() -> None:
    a = [1.0] * PAIRS

    assert paired_p_value(a, a) == 1.0
    assert paired_p_value(a, [2.0] * PAIRS) == 0.0
    assert paired_p_value([1.0] * 5, [0.8, 0.9, 1.0, 1 / 0.9, 1 / 0.8]) == 1.0


def test_five_pairs_suffice_and_each_value_must_be_positive() -> None:
    five = [1e-3, 1.01e-3, 0.99e-3, 1e-3, 1.02e-3]

    assert paired_ratio(five, five).value == 1.0
    with pytest.raises(ValueError, match="at least 5 pairs"):
        paired_ratio([0.0, *five[1:]], five)
