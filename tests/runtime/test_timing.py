"""Timing with a fake clock gives exact numbers."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator

import pytest

from edgekit.runtime.timing import are_close, paused_garbage_collection, take_values, warm_up

MS = 1_000_000


class FakeTime:
    """A clock that stands still except in calls, which take the given milliseconds, the last one for ever."""

    def __init__(self, milliseconds: Iterable[float]) -> None:
        self.now = 0
        self.calls = 0
        self._durations = self._forever(milliseconds)

    def clock(self) -> int:
        return self.now

    def call(self) -> None:
        self.calls += 1
        self.now += next(self._durations)

    @staticmethod
    def _forever(milliseconds: Iterable[float]) -> Iterator[int]:
        last = 0
        for value in milliseconds:
            last = int(value * MS)
            yield last
        while True:
            yield last


def test_warmups_are_kept_apart() -> None:
    fake = FakeTime([9, 5, 3, 1, 1, 1, 1, 1, 2])

    warmups = warm_up(fake.call, clock=fake.clock)
    values = take_values(fake.call, clock=fake.clock, min_values=3, max_values=3)

    assert warmups == (0.009, 0.005, 0.003, 0.001, 0.001, 0.001, 0.001, 0.001)
    assert values == (0.002, 0.002, 0.002)


@pytest.mark.parametrize(
    ("milliseconds", "close"),
    [
        ([1, 1, 1, 1, 1], True),
        ([9, 1, 1, 1, 1, 1], True),
        ([1, 1, 1, 1], False),
        ([1.0, 1.049, 1.0, 0.951, 1.0], True),
        ([1.0, 1.051, 1.0, 1.0, 1.0], False),
        ([1.0, 0.949, 1.0, 1.0, 1.0], False),
    ],
)
def test_close_means_the_last_five_within_five_percent_of_their_median(milliseconds: list[float], close: bool) -> None:
    assert are_close(milliseconds) is close


def test_a_warm_up_that_never_gets_steady_ends_at_the_stated_count() -> None:
    fake = FakeTime(1.1**n for n in range(1000))

    assert len(warm_up(fake.call, clock=fake.clock, max_warmups=12)) == 12


def test_a_warm_up_ends_when_it_has_used_up_the_time() -> None:
    fake = FakeTime([400, 300, 200, 100, 50])

    assert warm_up(fake.call, clock=fake.clock, time_limit_s=0.8) == (0.4, 0.3, 0.2)


def test_values_are_taken_until_the_time_is_over() -> None:
    fake = FakeTime([10])

    assert len(take_values(fake.call, clock=fake.clock, time_limit_s=1.0, min_values=5)) == 100


def test_at_least_the_minimum_is_taken_however_slow() -> None:
    fake = FakeTime([5000])

    assert take_values(fake.call, clock=fake.clock, time_limit_s=1.0, min_values=7) == (5.0,) * 7


def test_at_most_the_maximum_is_taken_however_fast() -> None:
    fake = FakeTime([0.001])

    assert len(take_values(fake.call, clock=fake.clock, max_values=40)) == 40


@pytest.mark.parametrize("measure", [warm_up, take_values])
def test_the_garbage_collector_rests_and_comes_back(measure: Callable[..., object]) -> None:
    seen = set()
    fake = FakeTime([1])

    def call() -> None:
        seen.add(gc.isenabled())
        fake.call()

    measure(call, clock=fake.clock)

    assert seen == {False}
    assert gc.isenabled()


def test_the_garbage_collector_comes_back_after_an_error_and_stays_off_when_it_was() -> None:
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        take_values(fail)
    assert gc.isenabled()

    with paused_garbage_collection():
        take_values(FakeTime([1]).call, max_values=30)
        assert not gc.isenabled()


def test_the_real_clock_measures_real_time() -> None:
    values = take_values(lambda: None, min_values=3, max_values=3)

    assert len(values) == 3
    assert all(value >= 0 for value in values)
