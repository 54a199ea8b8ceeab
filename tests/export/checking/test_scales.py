"""What parity judges by: the noise of the reference, the parts of an output, and whether there is anything to judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.export.checking.echo import RANGE, SPEC, Make, X, batch, checks_of, echo, off_by, replaced_outputs, samples

from edgekit.core.reports.report import parity_verdict
from edgekit.core.samples import Feed, Samples
from edgekit.core.verdict import Verdict
from edgekit.export.checking.cases import Case
from edgekit.export.checking.tolerance import NOISE_FACTOR


@pytest.mark.parametrize(("times", "passes"), [(0.5, True), (2.0, False), (10.0, False)])
@pytest.mark.parametrize("noise", [1e-9, 1e-4], ids=["well-conditioned", "ill-conditioned"])
def test_the_limit_knows_the_noise_of_the_reference(
    times: float, passes: bool, noise: float, session: Make, artifact: Make
) -> None:
    """`noise` is the deviation of the reference from itself, as a share of the range."""
    given = replace(samples(600), noise={"y": np.full((16, 4), noise * RANGE, np.float32)})
    limit = max(1e-4, NOISE_FACTOR * noise) * RANGE

    check, *_ = checks_of(session(off_by(times * limit)), artifact(), SPEC, given, [], "here")

    assert check.limit == pytest.approx(limit)
    assert (check.verdict is Verdict.PASS) is passes


def test_an_input_on_which_the_reference_is_unstable_is_not_judged(session: Make, artifact: Make) -> None:
    unstable = replace(batch(2), noise={"y": np.full((2, 4), 0.01 * RANGE)})

    checks = checks_of(session(off_by(0.5, row=1)), artifact(), SPEC, samples(), [unstable], "here")

    whole, case = checks
    assert whole.verdict is Verdict.FAIL
    assert case.verdict is Verdict.INCONCLUSIVE
    assert (
        case.reason
        == "not judged: the reference is unstable here: computed another way, it differs by 0.01 of its range"
    )


def test_an_unstable_sample_does_not_hide_a_fault_in_the_others(session: Make, artifact: Make) -> None:
    noise = np.zeros((16, 4), np.float32)
    noise[3] = np.inf
    given = replace(samples(), noise={"y": noise})

    excused, *_ = checks_of(session(off_by(0.5, row=3)), artifact(), SPEC, given, [], "here")
    found, *_ = checks_of(session(off_by(0.5, row=7)), artifact(), SPEC, given, [], "here")

    assert (excused.verdict, found.verdict) == (Verdict.PASS, Verdict.FAIL)
    assert found.sample == 7


@pytest.mark.parametrize(
    ("error", "noise", "verdict"),
    [
        (0.5, 0.0, Verdict.FAIL),  # large, and the reference is stable
        (0.5, None, Verdict.INCONCLUSIVE),  # nobody knows whether it is
        (0.001, 0.0, Verdict.INCONCLUSIVE),  # beyond the limit, but not large
        (0.0, 0.0, Verdict.PASS),
    ],
)
def test_made_up_inputs_alone_fail_only_by_a_large_difference_of_a_stable_reference(
    error: float, noise: float | None, verdict: Verdict, session: Make, artifact: Make
) -> None:
    known: Feed = {} if noise is None else {"y": np.full((1, 4), noise)}
    high = Case("high", {"N": 1}, {"x": np.ones((1, 4), np.float32)}, {"y": np.ones((1, 4), np.float32)}, noise=known)

    def answer(feed: Feed) -> Feed:
        return echo(feed) if len(feed["x"]) > 1 else {"y": np.add(feed["x"], np.float32(error))}

    _, check = checks_of(session(answer), artifact(), SPEC, samples(), [high], "here")

    assert check.verdict is verdict


@pytest.mark.parametrize(("decibels", "verdict"), [(26, Verdict.INCONCLUSIVE), (17, Verdict.FAIL)])
def test_where_made_up_inputs_give_little_signal_a_difference_is_large_next_to_that_of_the_samples(
    decibels: int, verdict: Verdict, session: Make, artifact: Make
) -> None:
    """As zeros do in float16, behind a normalization: the check shows the figure that it is judged by."""
    error = np.float32(np.sqrt(np.mean(X.astype("f8") ** 2)) * 10 ** (-decibels / 20))
    zeros = Case(
        "zeros", {"N": 1}, {"x": np.zeros((1, 4), "f4")}, {"y": np.full((1, 4), error)}, noise={"y": 0 * X[:1]}
    )

    def answer(feed: Feed) -> Feed:
        return echo(feed) if len(feed["x"]) > 1 else {"y": np.add(feed["x"], 2 * error)}

    _, check = checks_of(session(answer), artifact("fp16"), SPEC, samples(), [zeros], "here")

    assert check.value == pytest.approx(decibels, abs=0.5)
    assert check.verdict is verdict


def test_scores_beside_boxes_are_judged_by_their_own_scale(session: Make, artifact: Make) -> None:
    """Boxes of 640 pixels and scores of 0 to 1 in one tensor: 8 bits over both leave nothing of the scores."""
    rng = np.random.default_rng(0)
    scores = 1 / (1 + np.exp(-rng.normal(size=(64, 80, 100)) * 3))
    y = np.concatenate([rng.uniform(0, 640, (64, 4, 100)), scores], axis=1).astype(np.float32)
    spec = replaced_outputs(y)
    given = Samples({"x": X[:64]}, expected={"y": y})
    step = y.max() / 255

    def stepped(feed: Feed) -> Feed:
        return {"y": np.round(y / step) * step}

    (check,) = checks_of(session(stepped), artifact("int8"), spec, given, [], "here")

    assert check.verdict is Verdict.FAIL
    assert check.output == "y[..., 4:84, :]"
    assert parity_verdict([check]) is Verdict.FAIL


def test_an_output_without_values_is_not_judged(session: Make, artifact: Make) -> None:
    nothing = np.zeros((64, 0, 4), np.float32)
    given = Samples({"x": X[:64]}, expected={"y": nothing})

    checks = checks_of(session(lambda feed: {"y": nothing}), artifact(), replaced_outputs(nothing), given, [], "here")

    assert [check.verdict for check in checks] == [Verdict.INCONCLUSIVE]
    assert checks[0].reason == "not judged: the output has no values here"
    assert parity_verdict(checks) is Verdict.INCONCLUSIVE
