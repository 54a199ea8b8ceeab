"""Promises of core/statistics/nightly.py: on small series, and in a replay of nightly series of real devices."""

import gzip
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from edgekit.core.statistics.nightly import MARGIN, MIN_HISTORY, blame, expected_level, judge

# The devices whose data chose the parameters: every second label in alphabetical order.
CHOSEN = {"apple-m1-max", "cortex-a7", "pico-pi-imx7"}


def nights(count: int, sigma: float = 0.005, seed: int = 1) -> list[float]:
    """Nightly values around 2 ms with log-normal noise."""
    return list(2e-3 * np.exp(sigma * np.random.default_rng(seed).standard_normal(count)))


def test_a_night_at_the_level_passes_at_once() -> None:
    judgement = judge([2e-3] * 20, [2.01e-3])

    assert judgement.outcome == "pass"
    assert judgement.level == 2e-3
    assert judgement.limit == pytest.approx(2e-3 * (1 + MARGIN))


@pytest.mark.parametrize("step", [1.03, 1.05, 2.0])
def test_a_step_is_reported_once_both_reruns_confirm_it(step: float) -> None:
    today = [value * step for value in nights(3, seed=2)]

    outcomes = [judge(nights(40), today[:count]) for count in (1, 2, 3)]

    assert [judgement.outcome for judgement in outcomes] == ["inconclusive", "inconclusive", "regressed"]
    assert [judgement.rerun for judgement in outcomes] == [True, True, False]
    assert outcomes[2].reason.startswith("all 3 values are slower")


def test_one_outlier_asks_for_a_rerun_that_clears_it() -> None:
    history = nights(40)

    assert judge(history, [4e-3]).rerun
    assert judge(history, [4e-3, 2e-3]).outcome == "pass"
    assert judge(history, [4e-3, 4e-3, 2e-3]).outcome == "pass"


def test_noise_is_not_a_regression() -> None:
    values = nights(400, sigma=0.01, seed=3)

    outcomes = [judge(values[: i - 2], values[i - 2 : i + 1]).outcome for i in range(40, 400)]

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
    assert judge(accepted, [2.5e-3] * 3).outcome == "regressed"


def test_a_slow_trend_is_followed_not_reported() -> None:
    trend = [2e-3 * 1.001**night for night in range(120)]

    assert {judge(trend[:i], trend[i : i + 3]).outcome for i in range(40, 117)} == {"pass"}


def test_a_series_with_two_levels_is_judged_against_the_slower_one() -> None:
    two_levels = [2e-3, 2e-3, 2e-3, 2.08e-3] * 10

    assert expected_level(two_levels) == pytest.approx(2.08e-3)
    assert judge(two_levels, [2.08e-3] * 3).outcome == "pass"
    assert judge(two_levels, [2.2e-3] * 3).outcome == "regressed"


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


@dataclass(frozen=True)
class Day:
    """One night of a real series."""

    device: str
    history: list[float]
    future: list[float]
    before: float

    def is_quiet(self, skip: int) -> bool:
        """Whether the median of five nights, from `skip` nights on, lies within 1.5 % of the five nights before."""
        return abs(median(self.future[skip : skip + 5]) / self.before - 1) <= 0.015

    def is_alarm(self, scale: float) -> bool:
        """Whether the gate reports tonight times `scale`, with the next two nights as re-runs."""
        return judge(self.history, [value * scale for value in self.future[:3]]).outcome == "regressed"


def days(folder: Path) -> Iterator[Day]:
    """Every night from the 41st on of every series of at least 120 values."""
    for path in sorted(folder.glob("*.json.gz")):
        data = json.loads(gzip.decompress(path.read_bytes()))
        for raw in data["series"].values():
            values = [value for value in raw if value]
            if len(values) >= 120:
                for i in range(40, len(values) - 8):
                    before = median(values[i - 5 : i])
                    yield Day(data["device"], values[max(0, i - 120) : i], values[i : i + 8], before)


@pytest.fixture(scope="module")
def replayed() -> list[Day]:
    """The replayed nights; needs `latency_series` in the folder that EDGEKIT_DATA names."""
    folder = Path(os.environ.get("EDGEKIT_DATA", "")) / "latency_series"
    if "EDGEKIT_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("EDGEKIT_DATA names no folder with latency_series")
    return list(days(folder))


def share(nights: Sequence[Day], scale: float = 1.0) -> float:
    return float(np.mean([day.is_alarm(scale) for day in nights]))


@pytest.mark.slow
@pytest.mark.parametrize("half", ["chosen", "rest"])
def test_the_published_error_rates_hold_on_real_devices(half: str, replayed: list[Day]) -> None:
    quiet = [day for day in replayed if (day.device in CHOSEN) == (half == "chosen") and day.is_quiet(skip=0)]

    assert len(quiet) > 35_000
    assert share(quiet) <= 0.001
    assert share(quiet[::20], 1.03) >= 0.50
    assert share(quiet[::20], 1.05) >= 0.90
    assert share(quiet[::20], 1.10) >= 0.98


@pytest.mark.slow
def test_alarms_stay_rare_where_the_reruns_do_not_decide_what_is_quiet(replayed: list[Day]) -> None:
    quiet = [day for day in replayed if day.is_quiet(skip=3)]

    # 1.32 in 1000 when published; docs/gate.md says why this figure is the stricter one.
    assert 0.0 < share(quiet) <= 0.0014
