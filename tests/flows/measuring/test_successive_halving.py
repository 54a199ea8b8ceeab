"""Successive halving: it finds the fastest with a share of the launches, on noisy machines too."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product

import pytest

from edgekit.core.job import JobResult
from edgekit.core.target import Target
from edgekit.flows.measuring.successive_halving import Trial, exhaustive, halve, tied, within

RECIPES = ("onnx-fp32", "onnx-fp16", "onnx-int8", "tflite-fp32", "tflite-fp16", "tflite-int8")
OPTIONS = tuple(product(("1", "2"), ("all", "basic")))


def candidates() -> list[Trial]:
    return [
        Trial(recipe, Target("local", "fake", (("graph", graph), ("threads", threads))))
        for recipe in RECIPES
        for threads, graph in OPTIONS
    ]


def launching(latency: Callable[[Trial, int], float]) -> Callable[[Trial], None]:
    """Launches whose calls all take what `latency(trial, how many launches before)` says."""
    count = 0

    def launch(trial: Trial) -> None:
        nonlocal count
        value = latency(trial, count)
        count += 1
        trial.results.append(
            JobResult(
                backend="fake",
                engine="fake 1",
                provider="cpu",
                values=(value,) * 11,
                warmups=(),
                load_s=value,
                first_run_s=value,
            )
        )

    return launch


def level(trial: Trial) -> float:
    """6 artifacts from 1.0 ms down to 0.5 ms; two threads or less optimization cost 10 % each."""
    place = RECIPES.index(trial.recipe)
    return (
        1e-3
        * (1 - 0.1 * place)
        * (1.1 if "threads=2" in trial.options else 1)
        * (1.1 if "basic" in trial.options else 1)
    )


@pytest.mark.parametrize("seed", range(10))
def test_the_fastest_is_found_with_three_tenths_of_the_launches(seed: int) -> None:
    chance = random.Random(seed)
    trials = candidates()

    finalists = halve(trials, launching(lambda trial, _: level(trial) * chance.gauss(1, 0.03)), seed)

    best = min(finalists, key=lambda trial: trial.level_s)
    assert level(best) <= 1.05 * min(map(level, trials))
    assert sum(len(trial.results) for trial in trials) <= 0.3 * exhaustive(trials)


@pytest.mark.parametrize("start", range(24, 48, 4))
def test_a_slow_phase_of_the_machine_makes_no_other_winner(start: int) -> None:
    trials = candidates()

    finalists = halve(
        trials, launching(lambda trial, count: level(trial) * (2 if start <= count < start + 6 else 1)), 0
    )

    assert min(finalists, key=lambda trial: trial.level_s).recipe == "tflite-int8"


def test_what_cannot_be_told_apart_is_tied() -> None:
    chance = random.Random(0)
    trials = candidates()[:3]

    finalists = halve(
        trials, launching(lambda trial, _: (2 if "basic" in trial.options else 1) * chance.gauss(1, 0.02)), 0
    )

    equal = tied(finalists, 0.03)
    assert {trial.options for trial in equal} == {"@graph=all@threads=1", "@graph=all@threads=2"}


def test_one_that_is_refused_is_launched_no_more() -> None:
    trials = candidates()

    def launch(trial: Trial) -> None:
        if trial.recipe == "tflite-int8":
            trial.refused = "it does not run"
        else:
            launching(lambda one, _: level(one))(trial)

    finalists = halve(trials, launch, 0)

    assert {trial.recipe for trial in finalists} == {"tflite-fp16"}
    assert not any(trial.results for trial in trials if trial.refused)


def test_tied_by_noise_alone_is_not_as_fast() -> None:
    fast, jumping, slow = (Trial("tflite-int8", Target("local", "fake", (("threads", count),))) for count in "234")
    for trial, values in (
        (fast, [1.0, 1.02, 0.99, 1.0]),
        (jumping, [1.0, 2.0, 1.01, 1.02]),
        (slow, [1.4, 0.9, 1.5, 1.4]),
    ):
        for value in values:
            launching(lambda *_, value=value: value)(trial)

    assert tied([fast, jumping, slow], 0.03) == [fast, jumping, slow]
    assert within([fast, jumping, slow], 0.03) == [fast, jumping]


@pytest.mark.parametrize("seed", range(10))
def test_the_leader_is_measured_with_other_threads_whatever_one_launch_said(seed: int) -> None:
    trials = candidates()

    def latency(trial: Trial, _: int) -> float:
        # Two threads are faster, and their first launch fell into a slow phase.
        faster = 0.7 if trial.target.threads == 2 else 1.0
        return level(trial) * faster * (1.0 if trial.results or trial.target.threads == 1 else 3.0)

    finalists = halve(trials, launching(latency), seed)

    best = min(finalists, key=lambda trial: trial.level_s)
    assert (best.recipe, best.target.threads) == ("tflite-int8", 2)
    assert len({len(trial.results) for trial in finalists}) == 1
    assert sum(len(trial.results) for trial in trials) <= 0.3 * exhaustive(trials)
