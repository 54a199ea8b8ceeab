"""Times calls: until five in a row are close together, then for the requested time; every value is kept.

The end of the warm-up is not decided here: the host computes it from all values (`core/statistics/steady.py`).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

Clock = Callable[[], int]
"""Returns nanoseconds."""
After = Callable[[Any], None]
"""Gets what a call returned; its own time does not count."""

CLOSE_COUNT: Final = 5
CLOSE_SPREAD: Final = 0.05
MAX_WARMUPS: Final = 100


class Timing(NamedTuple):
    """Durations in seconds, in order; `warmups` came before `values`."""

    warmups: tuple[float, ...]
    values: tuple[float, ...]


def warm_up(
    call: Callable[[], object],
    *,
    time_limit_s: float = 1.0,
    max_warmups: int = MAX_WARMUPS,
    clock: Clock = perf_counter_ns,
    after: After = lambda _: None,
) -> tuple[float, ...]:
    """Durations in seconds until the last five are within 5 % of their median.

    Also ends after `max_warmups` calls, or when they have used up `time_limit_s`.

    Args:
        clock: Returns nanoseconds; tests pass a fake one and get exact numbers.
    """
    durations: list[int] = []
    with paused_garbage_collection():
        while len(durations) < max_warmups and sum(durations) < time_limit_s * 1e9:
            durations.append(_duration(call, clock, after))
            if are_close(durations):
                break
    return _seconds(durations)


def take_values(
    call: Callable[[], object],
    *,
    time_limit_s: float = 1.0,
    min_values: int = 30,
    max_values: int = 1000,
    clock: Clock = perf_counter_ns,
    after: After = lambda _: None,
) -> tuple[float, ...]:
    """At least `min_values` durations in seconds, and more until `time_limit_s` is up or there are `max_values`."""
    durations: list[int] = []
    with paused_garbage_collection():
        end = clock() + int(time_limit_s * 1e9)
        while len(durations) < min_values or (len(durations) < max_values and clock() < end):
            durations.append(_duration(call, clock, after))
    return _seconds(durations)


def are_close(durations: Sequence[float]) -> bool:
    """True if the last five durations are within 5 % of their median: the measured calls can begin."""
    last = durations[-CLOSE_COUNT:]
    middle = median(last)
    return len(last) == CLOSE_COUNT and all(abs(value - middle) <= CLOSE_SPREAD * middle for value in last)


def _duration(call: Callable[[], object], clock: Clock, after: After) -> int:
    start = clock()
    result = call()
    spent = clock() - start
    after(result)
    return spent


def _seconds(durations: Sequence[int]) -> tuple[float, ...]:
    return tuple(duration / 1e9 for duration in durations)


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Pause garbage collection while the block runs, so that it does not interrupt a call. May be nested."""
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
