"""Versions of a backend in rounds: when they end, what they say, and how many verdicts share one error rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.flows.scripted import Answer, Scripted, fake_model

from edgekit.core.errors import DeviceError, ModelUnreadable
from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.core.reports.sweep import VersionVerdict
from edgekit.core.system.progress import Silent
from edgekit.core.target import Target
from edgekit.devices.device import Device
from edgekit.flows.measuring.pairs import Protocol
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.sweeping.backend_versions import BackendVersion
from edgekit.flows.sweeping.combinations import Combination, Version, versions_of
from edgekit.flows.sweeping.kept_launches import SweepResults
from edgekit.flows.sweeping.version_rounds import VersionRounds
from edgekit.flows.sweeping.version_verdicts import judge_pairs, pairs_of

A, B = BackendVersion("onnxruntime", "1.0"), BackendVersion("onnxruntime", "2.0")
Group = tuple[Version, ...]
Groups = Callable[[int], list[Group]]


class Versioned(Scripted):
    """A scripted device that runs a version of a backend."""

    def __init__(self, version: BackendVersion, answer: Answer) -> None:
        super().__init__(answer)
        self.version = version

    def measure(self, job: Job) -> JobResult:
        return msgspec.structs.replace(super().measure(job), engine=f"onnxruntime {self.version.version}")


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    """That many models, each in both versions."""
    with ExitStack() as stack:

        def made(count: int) -> list[Group]:
            found = []
            for number in range(count):
                model = stack.enter_context(opened(fake_model(tmp_path / f"{number}.fake.json", offset=number)))
                combination = Combination(
                    model.path.name, model, model.artifacts[0], Target("scripted"), 1, engines=(A, B)
                )
                folder = tmp_path / str(number)
                folder.mkdir()
                found.append(versions_of(combination, Facts(), folder, time_limit_s=0.1))
            return found

        yield made


@pytest.fixture
def results(tmp_path: Path) -> SweepResults:
    return SweepResults.read(tmp_path / "results.jsonl")


def noisy(level: float, noise: float, seed: int) -> Answer:
    rng = np.random.default_rng(seed)
    return lambda number, job: float(1e-3 * level * np.exp(rng.normal(0, noise)))


def swept(groups: Sequence[Group], results: SweepResults, a: Answer, b: Answer) -> tuple[VersionVerdict, ...]:
    devices: dict[BackendVersion | None, Device] = {A: Versioned(A, a), B: Versioned(B, b)}
    protocol = Protocol()
    VersionRounds(groups, devices, results, protocol, Silent()).run()
    return judge_pairs([pair for group in groups for pair in pairs_of(group)], results, protocol)


@pytest.mark.parametrize(
    ("level", "noise", "says", "rounds"),
    [(1.05, 0.005, "slower", 8), (0.9, 0.005, "faster", 8), (1.0, 0.005, "equal", 8), (1.0, 0.5, "inconclusive", 32)],
)
def test_rounds_end_when_the_versions_are_known(
    groups: Groups, results: SweepResults, level: float, noise: float, says: str, rounds: int
) -> None:
    (group,) = groups(1)

    (found,) = swept([group], results, noisy(1.0, noise, 0), noisy(level, noise, 1))

    assert (found.compared.says, found.compared.a, found.compared.b) == (says, str(A), str(B))
    assert [len(results.counted(one.key)) for one in group] == [rounds, rounds]


def test_only_what_is_undecided_is_launched_on(groups: Groups, results: SweepResults) -> None:
    clear, unclear = groups(2)
    sums = {group[0].of.artifact.sha256: noise for group, noise in ((clear, 0.002), (unclear, 0.5))}

    def answer(seed: int) -> Answer:
        rng = np.random.default_rng(seed)
        return lambda number, job: float(1e-3 * np.exp(rng.normal(0, sums[job.sha256])))

    swept([clear, unclear], results, answer(0), answer(1))

    assert [len(results.counted(one.key)) for one in (*clear, *unclear)] == [8, 8, 32, 32]


def test_a_difference_must_hold_among_all_verdicts(groups: Groups, results: SweepResults) -> None:
    all_ = groups(10)
    first = all_[0][0].of.artifact.sha256
    ratios = [1.01, 1.09, 1.03, 1.08, 1.05, 1.06, 1.04, 1.07]
    taken = {A: 0, B: 0}

    def answer(version: BackendVersion) -> Answer:
        def of(number: int, job: Job) -> float:
            if job.sha256 != first or version is A:
                return 1e-3
            taken[version] += 1
            return 1e-3 * ratios[(taken[version] - 1) % len(ratios)]

        return of

    verdicts = swept(all_, results, answer(A), answer(B))
    alone = judge_pairs(pairs_of(all_[0]), results, Protocol(), before=8)
    among = judge_pairs([pair for group in all_ for pair in pairs_of(group)], results, Protocol(), before=8)

    # 0.05 / 10 < p < 0.05 after 8 rounds; 32 rounds show it among all ten.
    assert alone[0].compared.p_value == among[0].compared.p_value
    assert (alone[0].compared.says, among[0].compared.says, verdicts[0].compared.says) == (
        "slower",
        "inconclusive",
        "slower",
    )
    assert {one.compared.says for one in verdicts[1:]} == {"equal"}


def test_a_version_that_fails_leaves_the_others_measured(groups: Groups, results: SweepResults) -> None:
    (group,) = groups(1)

    def crashes(number: int, job: Job) -> float:
        raise ModelUnreadable("the backend crashed")

    devices: dict[BackendVersion | None, Device] = {A: Versioned(A, noisy(1.0, 0.01, 0)), B: Versioned(B, crashes)}
    rounds = VersionRounds([group], devices, results, Protocol(), Silent())
    rounds.run()

    assert [len(results.counted(one.key)) for one in group] == [8, 0]
    assert [str(err) for err in rounds.failed.values()] == ["the backend crashed"]


def test_a_launch_in_another_version_does_not_count(groups: Groups, results: SweepResults) -> None:
    (group,) = groups(1)
    devices: dict[BackendVersion | None, Device] = {
        A: Versioned(A, noisy(1.0, 0.01, 0)),
        B: Versioned(A, noisy(1.0, 0.01, 1)),
    }

    rounds = VersionRounds([group], devices, results, Protocol(), Silent())
    rounds.run()

    (err,) = rounds.failed.values()
    assert isinstance(err, DeviceError)
    assert err.message == "The launch ran in 'onnxruntime 1.0' instead of 'onnxruntime==2.0'."
    assert results.counted(group[1].key) == {}
