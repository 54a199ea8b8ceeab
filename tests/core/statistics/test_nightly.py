"""Promises of core/statistics/nightly.py: on small series, and in a replay of nightly series of real devices."""

import os
from pathlib import Path

import numpy as np
import pytest
from benchmarks.gate.nights import CHOSEN, Night, edgekit, quiet_nights, score

from edgekit.core.statistics.nightly import (
    CONFIRMING_MARGIN,
    MARGIN,
    MIN_HISTORY,
    RERUNS,
    blame,
    expected_level,
    judge,
)


def nights(count: int, sigma: float = 0.005, seed: int = 1) -> list[float]:
    """Nightly values around 2 ms with log-normal noise."""
    return list(2e-3 * np.exp(sigma * np.random.default_rng(seed).standard_normal(count)))


def test_a_night_at_the_level_passes_at_once() -> None:
    judgement = judge([2e-3] * 20, [2.01e-3])

    assert judgement.outcome == "pass"
    assert judgement.level == 2e-3
    assert judgement.limit == pytest.approx(2e-3 * (1 + MARGIN))


@pytest.mark.parametrize("step", [1.03, 1.05, 2.0])
def test_a_step_is_reported_once_all_reruns_confirm_it(step: float) -> None:
    today = [value * step for value in nights(1 + RERUNS, seed=2)]

    judged = [judge(nights(40), today[:count]) for count in range(1, 2 + RERUNS)]

    assert [one.outcome for one in judged] == ["inconclusive"] * RERUNS + ["regressed"]
    assert [one.rerun for one in judged] == [True] * RERUNS + [False]
    assert judged[-1].reason.startswith("all 6 values are slower")


def test_one_outlier_asks_for_a_rerun_that_clears_it() -> None:
    history = nights(40)

    assert judge(history, [4e-3]).rerun
    assert judge(history, [4e-3, 2e-3]).outcome == "pass"
    assert judge(history, [4e-3, 4e-3, 2e-3]).outcome == "pass"


def test_what_confirms_may_be_closer_to_the_level_than_what_is_confirmed() -> None:
    confirming, first = 2e-3 * (1 + CONFIRMING_MARGIN), 2e-3 * (1 + MARGIN)

    assert judge([2e-3] * 20, [first * 0.999]).outcome == "pass"
    assert judge([2e-3] * 20, [first * 1.001, *[confirming * 1.001] * RERUNS]).outcome == "regressed"
    assert judge([2e-3] * 20, [first * 1.001, *[confirming * 1.001] * 4, confirming * 0.999]).outcome == "pass"


def test_noise_is_not_a_regression() -> None:
    values = nights(400, sigma=0.01, seed=3)

    outcomes = [judge(values[: i - RERUNS], values[i - RERUNS : i + 1]).outcome for i in range(40, 400)]

    assert outcomes == ["pass"] * 360


def test_faster_is_a_pass() -> None:
    assert judge([2e-3] * 20, [1e-3]).outcome == "pass"


def test_too_few_nights_are_inconclusive_and_a_rerun_cannot_help() -> None:
    judgement = judge([2e-3] * (MIN_HISTORY - 1), [9e-3])

    assert (judgement.outcome, judgement.rerun, judgement.limit) == ("inconclusive", False, None)
    assert judgement.reason == "needs 5 earlier values, has 4"
    assert judge([2e-3] * MIN_HISTORY, [9e-3]).rerun


def test_fewer_reruns_confirm_sooner() -> None:
    assert judge([2e-3] * 20, [3e-3], reruns=0).outcome == "regressed"
    assert judge([2e-3] * 20, [3e-3, 3e-3], reruns=1).outcome == "regressed"


def test_an_accepted_step_is_followed_within_three_nights() -> None:
    accepted = [*nights(40), *[2.4e-3] * 3]

    assert judge(accepted, [2.4e-3]).outcome == "pass"
    assert judge(accepted, [2.5e-3] * 6).outcome == "regressed"


def test_a_slow_trend_is_followed_not_reported() -> None:
    trend = [2e-3 * 1.001**night for night in range(120)]

    assert {judge(trend[:i], trend[i : i + 6]).outcome for i in range(40, 114)} == {"pass"}


def test_a_series_with_two_levels_is_judged_against_the_slower_one() -> None:
    two_levels = [2e-3, 2e-3, 2e-3, 2.08e-3] * 10

    assert expected_level(two_levels) == pytest.approx(2.08e-3)
    assert judge(two_levels, [2.08e-3] * 6).outcome == "pass"
    assert judge(two_levels, [2.2e-3] * 6).outcome == "regressed"


def test_slow_nights_lift_the_level_by_six_percent_at_most() -> None:
    assert expected_level([2e-3, 2e-3, 9e-3] * 10) == pytest.approx(2.12e-3)


@pytest.mark.parametrize(
    ("history", "candidates", "message"),
    [([2e-3] * 9, [], "no candidate"), ([0.0] * 9, [1.0], "positive"), ([1.0] * 9, [float("nan")], "positive")],
)
def test_what_is_no_latency_is_a_mistake_of_the_caller(
    history: list[float], candidates: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        judge(history, candidates)


@pytest.mark.parametrize("after", [3, 10])
@pytest.mark.parametrize("step", [1.03, 1.3])
def test_blame_names_the_first_slow_night(step: float, after: int) -> None:
    values = nights(30 + after)
    values[30:] = [value * step for value in values[30:]]

    assert blame(values) == 30


def test_blame_names_nothing_without_a_step_upwards() -> None:
    assert blame(nights(40)) is None
    assert blame([*nights(20), *[1e-3] * 20]) is None
    assert blame([*nights(20), 9e-3, *nights(20, seed=4)]) is None
    assert blame([]) is None


@pytest.fixture(scope="module")
def replayed() -> list[Night]:
    """The replayed nights; needs `latency_series` in the folder that EDGEKIT_DATA names."""
    folder = Path(os.environ.get("EDGEKIT_DATA", "")) / "latency_series"
    if "EDGEKIT_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("EDGEKIT_DATA names no folder with latency_series")
    return list(quiet_nights(folder))


@pytest.mark.slow
@pytest.mark.parametrize("half", ["chosen", "rest"])
def test_the_published_error_rates_hold_on_real_devices(half: str, replayed: list[Night]) -> None:
    found = score(edgekit, [night for night in replayed if (night.device in CHOSEN) == (half == "chosen")])

    assert found.nights > 35_000
    assert 0.0 < found.alarms <= 0.7
    assert found.measurements <= 1.10
    assert all(power >= goal for power, goal in zip(found.power, (0.60, 0.92, 0.985), strict=True))
