"""Times whole calls: a file becomes the input, the network runs, and its outputs become what a person reads."""

from __future__ import annotations

from functools import partial
from time import perf_counter_ns

from edgekit.core.job import Job, WholeCalls
from edgekit.core.measurement import CallParts
from edgekit.runtime.backend import Session, stored_codes
from edgekit.runtime.memory import involuntary_switches
from edgekit.runtime.prediction import Prediction, feed_of, size_of
from edgekit.runtime.preprocessing import integers_as_reals
from edgekit.runtime.timing import Clock, paused_garbage_collection, take_values, warm_up

_Marks = tuple[int, int, int, int]


def time_whole_calls(session: Session, job: Job, *, clock: Clock = perf_counter_ns) -> CallParts:
    """The parts of whole calls, after a warm-up of their own, for the time limit of the job.

    Args:
        job: Its `end_to_end` says what a call begins with.
        clock: Returns nanoseconds. It is read four times in a call, so that the parts add up to the whole exactly.

    Raises:
        UserError: The input does not fit the model.
        MissingExtra: Pillow is not installed, which images need.
    """
    asked = job.end_to_end
    assert asked is not None
    marks: list[_Marks] = []
    call = partial(_call, session, asked, marks, clock)
    with paused_garbage_collection():
        warmups = len(warm_up(call, time_limit_s=job.time_limit_s, clock=clock))
        before = involuntary_switches()
        most = max(asked.least, job.max_values)
        take_values(call, time_limit_s=job.time_limit_s, min_values=asked.least, max_values=most, clock=clock)
        after = involuntary_switches()
    begun, fed, ran, ended = zip(*marks, strict=True)
    return CallParts(
        _between(begun, fed),
        _between(fed, ran),
        _between(ran, ended),
        warmups,
        None if before is None or after is None else after - before,
    )


def _call(session: Session, asked: WholeCalls, marks: list[_Marks], clock: Clock) -> None:
    """One call as `edgekit run` makes it: `Session.run` checks the input, and returns arrays of the caller."""
    spec = asked.spec
    begun = clock()
    size = size_of(asked.input, spec)
    feed = integers_as_reals(feed_of(asked.input, spec), session.inputs, stored_codes(session))
    fed = clock()
    outputs = session.run(feed)
    ran = clock()
    Prediction(outputs, spec, size).read()
    marks.append((begun, fed, ran, clock()))


def _between(starts: tuple[int, ...], ends: tuple[int, ...]) -> tuple[float, ...]:
    return tuple((end - start) / 1e9 for start, end in zip(starts, ends, strict=True))
