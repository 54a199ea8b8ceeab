"""Promises of core/statistics/intervals.py, checked against scipy and by simulation."""

import math

import msgspec
import numpy as np
import pytest
from scipy import stats
from scipy.special import xlogy

from edgekit.core.statistics.intervals import (
    Interval,
    direction,
    disagreeing,
    holm,
    is_slower,
    launch_interval,
    launch_quantiles,
    needed_n,
    paired_drop,
    paired_drop_width,
    paired_mean_difference,
    ratio_interval,
    ratio_p_value,
    required_n,
    supported,
    wilson,
    wilson_width,
)
from edgekit.core.statistics.student import t_quantile, t_tail


@pytest.mark.parametrize(("quantile", "n"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_a_quantile_is_supported_from_the_stated_sample_size_on(quantile: float, n: int) -> None:
    assert required_n(quantile) == n
    assert supported(quantile, n)
    assert not supported(quantile, n - 1)
    assert 1 - quantile**n >= 0.95 > 1 - quantile ** (n - 1)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_launch_quantiles_are_refused_at_exactly_the_stated_sizes(quantile: float) -> None:
    enough = [1.0] * required_n(quantile)

    assert launch_quantiles([enough] * 5, quantile) == (1.0,) * 5
    assert launch_quantiles([enough] * 4, quantile) is None
    assert launch_quantiles([enough] * 5 + [enough[1:]], quantile) is None


def test_every_launch_gives_its_own_quantile() -> None:
    launches = [[scale * step for step in range(1, 102)] for scale in (1.0, 2.0, 3.0, 4.0, 5.0)]

    assert launch_quantiles(launches, 0.5) == pytest.approx((51.0, 102.0, 153.0, 204.0, 255.0))


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 9.3, 30, 1000, 100_000])
@pytest.mark.parametrize("probability", [0.025, 0.2, 0.5, 0.8, 0.95, 0.975, 0.995])
def test_t_quantiles_agree_with_scipy(df: float, probability: float) -> None:
    assert t_quantile(probability, df) == pytest.approx(stats.t.ppf(probability, df), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("t", [0.0, 0.3, -1.0, 2.5, 30.0])
@pytest.mark.parametrize("df", [1, 4, 9.3, 200])
def test_t_tails_agree_with_scipy(t: float, df: float) -> None:
    assert t_tail(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-6)


def test_launch_interval_is_student_t_on_logs() -> None:
    values = [0.010, 0.0104, 0.0099, 0.0112, 0.0101]
    logs = np.log(values)

    estimate = launch_interval(values)

    low, high = stats.t.interval(0.95, 4, loc=logs.mean(), scale=stats.sem(logs))
    assert (estimate.low, estimate.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert estimate.value == pytest.approx(stats.gmean(values))
    assert estimate.n == 5


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan]])
def test_an_interval_without_two_positive_values_is_a_mistake_of_the_caller(values: list[float]) -> None:
    with pytest.raises(ValueError, match="2 positive values"):
        launch_interval(values)


def test_an_unpaired_ratio_is_welch_on_logs() -> None:
    a, b = [1.0, 1.1, 0.98, 1.03, 1.02], [1.2, 1.25, 1.31, 1.19, 1.22, 1.4]
    reference = stats.ttest_ind(np.log(b), np.log(a), equal_var=False)

    estimate = ratio_interval(a, b, paired=False)

    interval = reference.confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert ratio_p_value(a, b, paired=False) == pytest.approx(reference.pvalue)
    assert estimate.n == 5


def test_a_paired_ratio_cancels_the_drift_of_the_device() -> None:
    drift = np.linspace(1.0, 1.5, 8)
    a, b = list(drift), list(drift * 1.05 * np.exp(0.001 * np.sin(np.arange(8))))

    paired, unpaired = ratio_interval(a, b, paired=True), ratio_interval(a, b, paired=False)

    assert direction(paired) == "slower"
    assert direction(unpaired) == "inconclusive"
    assert ratio_p_value(a, b, paired=True) == pytest.approx(stats.ttest_rel(np.log(b), np.log(a)).pvalue, rel=1e-6)


def test_a_paired_ratio_needs_pairs() -> None:
    with pytest.raises(ValueError, match="equal, non-empty lengths"):
        ratio_interval([1.0, 1.0], [1.0, 1.0, 1.0], paired=True)


def test_launches_without_any_spread_still_compare() -> None:
    assert direction(ratio_interval([1.0] * 5, [1.1] * 5, paired=False)) == "slower"
    assert ratio_p_value([1.0] * 5, [1.1] * 5, paired=False) == 0.0
    assert ratio_p_value([1.0] * 5, [1.0] * 5, paired=True) == 1.0


@pytest.mark.parametrize(
    ("ratio", "low", "high", "expected"),
    [
        (1.10, 1.05, 1.15, "slower"),
        (0.90, 0.85, 0.95, "faster"),
        (1.00, 0.98, 1.02, "equal"),
        (1.02, 1.01, 1.025, "equal"),
        (1.02, 1.01, 1.04, "inconclusive"),
        (1.10, 0.99, 1.22, "inconclusive"),
        (0.98, 0.90, 1.06, "inconclusive"),
    ],
)
def test_a_verdict_needs_both_an_effect_and_an_interval(ratio: float, low: float, high: float, expected: str) -> None:
    assert direction(Interval(ratio, low, high, 8)) == expected


@pytest.mark.slow
def test_a_difference_as_large_as_detectable_is_found_in_four_of_five_measurements() -> None:
    rng = np.random.default_rng(1)
    seen = math.exp(sum(stats.t.ppf([0.975, 0.8], 14)) * 0.02 / math.sqrt(4)) - 1
    sides = np.exp(0.02 * rng.standard_normal((2000, 2, 8)))

    estimates = [ratio_interval(list(a), list(b * (1 + seen)), paired=False) for a, b in sides]

    assert np.mean([e.low > 1 for e in estimates]) == pytest.approx(0.80, abs=0.03)
    assert np.median([e.detectable for e in estimates if e.detectable]) == pytest.approx(seen, rel=0.05)


@pytest.mark.slow
def test_equal_launches_are_called_different_in_at_most_one_of_twenty_measurements() -> None:
    rng = np.random.default_rng(2)
    sides = np.exp(0.05 * rng.standard_normal((2000, 2, 8)))

    verdicts = [direction(ratio_interval(list(a), list(b), paired=False)) for a, b in sides]

    assert 0.02 < np.mean([v in ("slower", "faster") for v in verdicts]) < 0.065


def test_a_drop_is_counted_on_the_same_examples() -> None:
    reference = np.array([True] * 90 + [False] * 10)
    artifact = np.array([False] * 6 + [True] * 84 + [True] * 2 + [False] * 8)

    drop = paired_drop(reference, artifact)

    assert drop.value == pytest.approx(0.04)
    assert drop.n == 100
    assert drop.low < 0.0 < 0.04 < drop.high < 0.11


@pytest.mark.parametrize(("lost", "won", "n"), [(6, 2, 100), (14, 1, 44), (43, 43, 200), (5, 0, 30)])
def test_the_ends_of_a_drop_are_where_the_score_test_rejects(lost: int, won: int, n: int) -> None:
    drop = paired_drop(
        np.repeat([1, 0, 1], [lost, won, n - lost - won]), np.repeat([0, 1, 1], [lost, won, n - lost - won])
    )

    def score(delta: float) -> float:
        """The same score with its nuisance share found by brute force."""
        shares = np.linspace(max(0.0, -delta), (1 - delta) / 2, 400_001)[1:-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = xlogy(lost, shares + delta) + xlogy(won, shares) + xlogy(n - lost - won, 1 - 2 * shares - delta)
        share = shares[np.nanargmax(logs)]
        return float((lost - won - n * delta) / math.sqrt(n * (2 * share + delta * (1 - delta))))

    assert score(drop.low) == pytest.approx(1.96, abs=0.01)
    assert score(drop.high) == pytest.approx(-1.96, abs=0.01)


def test_a_sample_without_disagreement_has_the_closed_form_interval() -> None:
    drop = paired_drop(np.repeat([1, 0, 1], [0, 0, 44]), np.repeat([0, 1, 1], [0, 0, 44]))

    # No discordant pair: the score limits are +-z^2 / (n + z^2).
    z2 = stats.norm.ppf(0.975) ** 2
    assert (drop.low, drop.high) == pytest.approx((-z2 / (44 + z2), z2 / (44 + z2)))


@pytest.mark.parametrize("shares", [(0.02, 0.02), (0.03, 0.005), (0.10, 0.05), (0.004, 0.0)], ids=str)
@pytest.mark.parametrize("n", [100, 1000])
def test_the_interval_of_a_drop_covers_the_truth(shares: tuple[float, float], n: int) -> None:
    lost, won = shares
    cells = np.random.default_rng(3).multinomial(n, [lost, won, 1 - lost - won], size=1000)

    covered = 0
    for row in cells:
        artifact = np.repeat([False, True, True], row)
        drop = paired_drop(np.repeat([True, False, True], row), artifact)
        covered += drop.low <= lost - won <= drop.high

    assert covered / len(cells) >= 0.93


def test_identical_answers_still_leave_doubt_that_shrinks_with_n() -> None:
    small, large = (paired_drop(np.ones(n, bool), np.ones(n, bool)) for n in (50, 5000))

    assert small.value == large.value == 0.0
    assert small.high > 0.03 > 0.001 > large.high > 0.0
    assert small.detectable is not None
    assert large.detectable is not None
    assert small.detectable > 50 * large.detectable


def test_a_drop_as_large_as_detectable_is_found_in_four_of_five_samples() -> None:
    rng, n, lost, won = np.random.default_rng(4), 2000, 0.044, 0.026
    cells = rng.multinomial(n, [lost, won, 1 - lost - won], size=1000)

    drops = [paired_drop(np.repeat([1, 0, 1], row), np.repeat([0, 1, 1], row)) for row in cells]

    power = np.mean([drop.low > 0 for drop in drops])
    seen = np.median([drop.detectable for drop in drops if drop.detectable])
    assert seen == pytest.approx(2.8016 * math.sqrt((lost + won) / n), rel=0.02)
    assert power == pytest.approx(stats.norm.cdf((lost - won) / math.sqrt((lost + won) / n) - 1.96), abs=0.04)


def test_pairs_must_match() -> None:
    with pytest.raises(ValueError, match="equal, non-empty lengths"):
        paired_drop([True], [True, False])
    with pytest.raises(ValueError, match="equal, non-empty lengths"):
        paired_drop([], [])


def test_a_paired_mean_difference_is_student_t() -> None:
    reference, artifact = [1.0, 2.0, 3.0, 4.0], [1.5, 2.2, 3.9, 4.1]
    interval = stats.ttest_rel(artifact, reference).confidence_interval(0.95)

    estimate = paired_mean_difference(reference, artifact)

    assert estimate.value == pytest.approx(0.425)
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (7, 10), (720, 1000)])
def test_wilson_agrees_with_scipy(successes: int, n: int) -> None:
    interval = stats.binomtest(successes, n).proportion_ci(method="wilson")

    estimate = wilson(successes, n)

    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert estimate.value == successes / n


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_an_impossible_count_is_a_mistake_of_the_caller(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        wilson(successes, n)


def test_holm_stops_at_the_first_p_value_above_its_share() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == (True, False, False, True)
    assert holm([0.04]) == (True,)
    assert holm([0.03, 0.03]) == (False, False)
    assert holm([]) == ()


def test_holm_keeps_the_family_wise_error() -> None:
    p_values = np.random.default_rng(5).random((4000, 20))

    assert np.mean([any(holm(list(row))) for row in p_values]) == pytest.approx(0.05, abs=0.012)


def test_an_estimate_survives_json() -> None:
    estimate = launch_interval([1.0, 1.1, 1.2])

    assert msgspec.json.decode(msgspec.json.encode(estimate), type=Interval) == estimate


def test_widths_are_those_of_the_intervals() -> None:
    reference, artifact = np.ones(100, bool), np.ones(100, bool)
    reference[:3], artifact[3:6] = False, False
    drop, share = paired_drop(reference, artifact), wilson(90, 100)

    assert paired_drop_width(6, 100) == pytest.approx((drop.high - drop.low) / 2)
    assert wilson_width(0.9, 100) == pytest.approx((share.high - share.low) / 2)
    assert drop.detectable is not None
    assert disagreeing(drop.detectable, 100) == 6


def test_the_needed_number_is_the_smallest_that_suffices() -> None:
    needed = needed_n(0.01, lambda n: paired_drop_width(0.06 * n, n))

    assert needed is not None
    # z^2 p / w^2 = 3.84 * 0.06 / 0.0001, as for a large sample.
    assert needed == pytest.approx(2305, rel=0.05)
    assert paired_drop_width(0.06 * needed, needed) <= 0.01 < paired_drop_width(0.06 * (needed - 1), needed - 1)
    assert needed_n(1e-6, lambda n: paired_drop_width(0.06 * n, n)) is None


def test_another_confidence_widens_as_scipy_says() -> None:
    values = [0.010, 0.0104, 0.0099]
    logs = np.log(values)
    low, high = stats.t.interval(0.8, 2, loc=logs.mean(), scale=stats.sem(logs))
    score = stats.binomtest(7, 10).proportion_ci(0.8, method="wilson")

    launches, share = launch_interval(values, 0.8), wilson(7, 10, 0.8)

    assert (launches.low, launches.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert (share.low, share.high, share.n) == pytest.approx((score.low, score.high, 10))
    assert wilson_width(0.7, 10, 0.8) == pytest.approx((share.high - share.low) / 2)
    assert required_n(0.9, confidence=0.99) == 44


def test_what_can_be_detected_is_the_width_and_the_power_on_the_log_scale() -> None:
    a, b = [1.0, 1.1, 0.98, 1.03], [1.2, 1.25, 1.31, 1.19]
    logs = np.log(b) - np.log(a)
    both = float(stats.t.ppf(0.975, 3) + stats.t.ppf(0.8, 3))
    ratio, difference = ratio_interval(a, b, paired=True), paired_mean_difference(a, b)

    assert ratio.detectable == pytest.approx(math.expm1(both * float(stats.sem(logs))))
    assert ratio.value == pytest.approx(math.exp(logs.mean()))
    assert ratio.n == 4
    assert difference.detectable == pytest.approx(both * float(stats.sem(np.subtract(b, a))))
    assert difference.n == 4


@pytest.mark.parametrize(
    ("ratio", "low", "high", "effect", "expected"),
    [
        (1.05, 1.01, 1.10, 0.03, "slower"),
        (1.05, 1.01, 1.10, 0.05, "inconclusive"),
        (1.05, 1.00, 1.10, 0.03, "inconclusive"),
        (1 / 1.05, 0.90, 0.99, 0.03, "faster"),
        (1 / 1.05, 0.90, 1.00, 0.03, "inconclusive"),
        (1 / 1.05, 0.90, 0.99, 0.06, "inconclusive"),
        (1.00, 1 / 1.03, 1.03, 0.03, "equal"),
        (1.00, 1 / 1.04, 1.03, 0.03, "inconclusive"),
        (1.00, 1 / 1.04, 1.03, 0.04, "equal"),
    ],
)
def test_the_least_effect_that_counts_is_the_given_one(
    ratio: float, low: float, high: float, effect: float, expected: str
) -> None:
    assert direction(Interval(ratio, low, high, 8), effect) == expected


def test_one_side_is_slower_by_more_than_the_least_effect() -> None:
    best = [1.0, 1.001, 0.999, 1.002, 1.0]
    other, more = [1.05 * one for one in best], [1.05, 1.051, 1.049, 1.052]

    assert is_slower(best, other)
    assert is_slower(best, more)
    assert not is_slower(best, best)
    assert not is_slower(best, other, 0.06)
    assert not is_slower([1.02 * one for one in best], other)
    # Only pairs cancel what both sides have in common.
    drift = [1.0, 1.1, 1.2, 1.3, 1.4]
    assert is_slower(drift, [1.05 * one for one in drift])
    assert not is_slower(drift, [1.05 * one for one in drift][:4])


def test_the_needed_number_is_found_between_one_and_the_most() -> None:
    assert needed_n(0.5, lambda n: 1 / n) == 2
    assert needed_n(1.0, lambda n: 1 / n) == 1
    assert needed_n(0.01, lambda n: 1 / n, most=100) == 100
    assert needed_n(0.01, lambda n: 1 / n, most=99) is None
    assert needed_n(1e-6, lambda n: 1 / n) == 1_000_000


@pytest.mark.parametrize(("lost", "won", "n"), [(0, 0, 20), (6, 2, 100), (1, 9, 60)])
def test_the_detectable_drop_follows_from_the_examples_that_differ(lost: int, won: int, n: int) -> None:
    found = paired_drop([1] * lost + [0] * won + [1] * (n - lost - won), [0] * lost + [1] * (n - lost))
    both = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))

    assert (found.value, found.n) == ((lost - won) / n, n)
    assert found.detectable == pytest.approx(both * math.sqrt(lost + won + 1) / (n + 2))
    assert disagreeing(found.detectable or 0.0, n) == lost + won
    assert found.low < found.value < found.high
    assert disagreeing(0.0, n) == 0


def test_pairs_have_one_axis() -> None:
    with pytest.raises(ValueError, match=r"got shapes \(2, 2\) and \(2, 2\)"):
        paired_mean_difference([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match="at least 2 values, got 1"):
        paired_mean_difference([1.0], [2.0])
    assert paired_mean_difference([1.0, 2.0], [1.5, 2.3]).value == pytest.approx(0.4)
