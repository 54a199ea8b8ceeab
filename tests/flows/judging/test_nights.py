"""A model against its earlier runs: a red series stays red until it returns or is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.scripted import Scripted
from tests.flows.test_check import Use, check, config, only, times

from edgekit.core.job import Job
from edgekit.core.reports.history import Run
from edgekit.core.statistics.nightly import RERUNS
from edgekit.core.verdict import Verdict
from edgekit.flows import history
from edgekit.flows.judging import history as store
from edgekit.flows.opening import devices
from edgekit.flows.order import door
from edgekit.report.check import render_markdown

accept = door(history.accept_order)
SERIES = "b/b.fake@fake"


@pytest.fixture
def steady(folder: Path, use: Use) -> Path:
    """The configuration of a model with six quiet nights."""
    path = config(folder, "nightly = true")
    use(times())
    for _ in range(6):
        check(path)
    return path


@pytest.mark.parametrize("slower", [1.2e-3, 1.5e-3])
def test_a_regression_stays_red_for_as_long_as_nobody_accepts_it(steady: Path, use: Use, slower: float) -> None:
    use(times(b=slower))

    verdicts = [check(steady).verdict for _ in range(12)]

    assert verdicts == [Verdict.FAIL] * 12


def test_show_says_since_when_a_series_is_red_and_keeps_its_level(
    steady: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(times(b=1.2e-3))
    for number in range(4):
        monkeypatch.setenv("GITHUB_SHA", f"slow{number}")
        check(steady)

    (series,) = history.show(steady).series

    assert series.red_since is not None
    assert series.red_since.commit == "slow0"
    assert series.level == pytest.approx(1e-3, rel=0.02)
    assert series.last.outside


def test_an_accepted_level_is_the_new_one(steady: Path, use: Use) -> None:
    use(times(b=1.2e-3))
    for _ in range(5):
        check(steady)

    accept(steady, why="a larger input", model=["b"])
    after = check(steady)
    use(times(b=1.4e-3))
    again = check(steady)

    assert only(after, "history").verdict is Verdict.PASS
    assert history.show(steady).series[0].level == pytest.approx(1.2e-3, rel=0.02)
    assert only(again, "history").verdict is Verdict.FAIL


def test_a_level_that_returns_is_green_by_itself(steady: Path, use: Use) -> None:
    use(times(b=1.2e-3))
    check(steady)
    use(times())

    assert check(steady).verdict is Verdict.PASS
    assert history.show(steady).series[0].red_since is None


def test_a_night_that_the_baseline_fails_moves_no_level(folder: Path, use: Use) -> None:
    path = config(folder, "nightly = true", 'baseline = "a.fake.json"')
    use(times(b=1.05e-3))

    check(path)

    (line,) = store.read_history(folder / "edgekit-history.jsonl")
    assert isinstance(line, Run)
    assert line.outside == (SERIES,)


def test_a_re_run_without_a_median_confirms_nothing(steady: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(number: int, job: Job) -> float:
        # After the first measurement, launches have too few values for a median.
        device.values = 40 if number < 5 else 2
        return 1.2e-3 * (1 + 0.002 * (number % 5))

    device = Scripted(slow)
    monkeypatch.setattr(devices, "open_device", lambda name: device)

    found = check(steady)

    assert only(found, "history").verdict is Verdict.INCONCLUSIVE
    assert "a re-run has no median: n too small" in only(found, "history").message
    assert len(device.jobs) == (1 + RERUNS) * 5
    line = store.read_history(steady.parent / "edgekit-history.jsonl")[-1]
    assert isinstance(line, Run)
    assert line.outside == (SERIES,)


def test_a_night_without_a_median_is_told(steady: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Scripted(lambda number, job: 1e-3)
    device.values = 2
    monkeypatch.setattr(devices, "open_device", lambda name: device)

    found = check(steady)

    assert only(found, "history").verdict is Verdict.INCONCLUSIVE
    assert only(found, "history").message.startswith("today has no median: n too small")


def test_a_red_series_is_measured_once_and_is_one_event_since_its_first_night(
    steady: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Scripted(lambda number, job: 1.2e-3)
    monkeypatch.setattr(devices, "open_device", lambda name: device)

    first, launches = check(steady), len(device.jobs)
    for _ in range(RERUNS - 1):
        check(steady)
    before = len(device.jobs)
    last = check(steady)

    assert launches == (1 + RERUNS) * 5
    assert len(device.jobs) - before == 5
    assert only(last, "history").verdict is Verdict.FAIL
    assert [(event.cause, event.series) for event in last.events] == [("unclear", (SERIES,))]
    assert last.events[0].since == first.created
    assert "The code or a device is slower since" in render_markdown(last)


def test_the_next_runs_confirm_where_re_runs_are_left_to_them(folder: Path, use: Use) -> None:
    path = config(folder, "nightly = true\nrerun_later = true")
    use(times())
    for _ in range(6):
        check(path)
    device = use(times(b=1.2e-3))

    found = [check(path) for _ in range(1 + RERUNS)]

    verdicts = [only(one, "history").verdict for one in found]
    assert verdicts == [Verdict.INCONCLUSIVE] * RERUNS + [Verdict.FAIL]
    assert only(found[0], "history").message.endswith("5 more to confirm it, by the next runs")
    assert len(device.jobs) == 5 * (1 + RERUNS)
    assert [len(one.events) for one in found] == [0] * RERUNS + [1]


def test_a_slow_night_left_to_confirm_that_returns_is_green(folder: Path, use: Use) -> None:
    path = config(folder, "nightly = true\nrerun_later = true")
    use(times())
    for _ in range(6):
        check(path)
    use(times(b=1.2e-3))
    check(path)
    use(times())

    assert only(check(path), "history").verdict is Verdict.PASS
