"""What every registered backend promises to threads that share one session: right outputs, or an error at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conformance.test_backends import ARTIFACTS, DATA, ELSEWHERE, Rows
from tests.instructions import instructions
from tests.runtime.tflite_files import counting, recurrent

from edgekit.core.errors import UserError
from edgekit.runtime.backend import BACKENDS, Session
from edgekit.runtime.backends.litert import LiteRT, LiteRTSession
from edgekit.runtime.serving import SessionPool, run_batch, stream

THREADS = 8
# Over all backends.
CALLS = 200_000
FILES = {**ARTIFACTS, "litert int8": "quantized.tflite"}
HERE = [name for name in FILES if name not in ELSEWHERE or find_spec(name)]


@pytest.fixture(params=HERE)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """An open session of each backend, of LiteRT with an int8 file as well."""
    backend = BACKENDS.get(request.param.partition(" ")[0])()
    with backend.open(DATA / FILES[request.param], {}) as opened:
        yield opened


def together(work: Callable[[int], object]) -> list[BaseException]:
    """The errors of `work`, called with 0 to 7 by as many threads that begin and end at the same time."""
    errors: list[BaseException] = []
    start, end = threading.Barrier(THREADS), threading.Barrier(THREADS)

    def guarded(place: int) -> None:
        try:
            start.wait(30)
            work(place)
        except BaseException as err:  # noqa: BLE001 # a thread has no other way to report it
            errors.append(err)
        end.wait(30)

    threads = [threading.Thread(target=guarded, args=(place,)) for place in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def feeds_of(session: Session) -> list[dict[str, Any]]:
    """One feed for each thread: other values, and other numbers of rows where the file takes them."""
    (tensor,) = session.inputs
    shapes = [[1 + place % 2 if isinstance(axis, str) else axis for axis in tensor.shape] for place in range(THREADS)]
    return [{tensor.name: np.full(shape, place / 4 - 1).astype(tensor.dtype)} for place, shape in enumerate(shapes)]


def outputs_of(found: Mapping[str, Any]) -> Rows:
    (array,) = found.values()
    return np.array(array)


def wrong_calls(session: Session, calls: int) -> int:
    """How many of `calls` runs on the shared session, over all threads, differ from a run alone."""
    feeds = feeds_of(session)
    expected = [outputs_of(session.run(feed)) for feed in feeds]
    wrong = [0] * THREADS

    def work(place: int) -> None:
        feed, right = feeds[place], expected[place]
        for _ in range(calls // THREADS):
            wrong[place] += not np.array_equal(outputs_of(session.run(feed)), right)

    assert together(work) == []
    return sum(wrong)


def test_threads_that_share_a_session_get_their_own_outputs(session: Session) -> None:
    assert len({outputs_of(session.run(feed)).tobytes() for feed in feeds_of(session)}) > THREADS // 2
    assert wrong_calls(session, 4_000) == 0


@pytest.mark.slow
def test_of_200_000_calls_on_shared_sessions_none_is_wrong(session: Session) -> None:
    assert wrong_calls(session, CALLS // len(HERE)) == 0


def test_calls_that_bind_returned_are_each_threads_own(session: Session) -> None:
    feeds = feeds_of(session)
    expected = [outputs_of(session.run(feed)) for feed in feeds]
    wrong = [0] * THREADS

    def work(place: int) -> None:
        call = session.bind(feeds[place])
        for _ in range(300):
            wrong[place] += not np.array_equal(outputs_of(call()), expected[place])

    assert together(work) == []
    assert sum(wrong) == 0


def test_a_bound_call_that_threads_share_is_right_or_refused(session: Session) -> None:
    feed = feeds_of(session)[3]
    expected, wrong = outputs_of(session.run(feed)), [0] * THREADS
    call = session.bind(feed)

    def work(place: int) -> None:
        for _ in range(100):
            wrong[place] += not np.array_equal(outputs_of(call()), expected)

    errors = together(work)

    assert sum(wrong) == 0
    assert {type(err) for err in errors} <= {UserError}
    assert len(errors) in (0, THREADS - 1)


def test_a_bound_call_is_made_by_one_thread_and_used_by_another(session: Session) -> None:
    feed = feeds_of(session)[0]
    call = session.bind(feed)
    found: list[Rows] = []

    for _ in range(2):
        worker = threading.Thread(target=lambda: found.append(outputs_of(call())))
        worker.start()
        worker.join()

    assert len(found) == 2  # the second thread takes over from one that has ended


def test_batches_of_several_threads_do_not_mix(session: Session) -> None:
    feeds = feeds_of(session)
    expected = [outputs_of(session.run(feed)) for feed in feeds]
    wrong = [0] * THREADS

    def work(place: int) -> None:
        for _ in range(20):
            found = run_batch(session, [feeds[place]] * 5)
            wrong[place] += sum(not np.array_equal(outputs_of(one), expected[place]) for one in found)

    assert together(work) == []
    assert sum(wrong) == 0


def test_streams_of_several_threads_do_not_mix(session: Session) -> None:
    feeds = feeds_of(session)
    expected = [outputs_of(session.run(feed)) for feed in feeds]
    wrong = [0] * THREADS

    def work(place: int) -> None:
        found = stream([feeds[place]] * 30, session)
        wrong[place] += sum(not np.array_equal(outputs_of(one), expected[place]) for one in found)

    assert together(work) == []
    assert sum(wrong) == 0


def test_closing_while_threads_run_is_an_error_and_no_crash(session: Session) -> None:
    feed = feeds_of(session)[0]

    def work(place: int) -> None:
        for _ in range(50):
            session.run(feed)
        if place == 0:
            session.close()

    assert {str(err) for err in together(work)} <= {"This session is closed."}


@pytest.fixture(params=[recurrent, counting])
def summing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiteRTSession]:
    """A session that keeps the sum of all its inputs, in a variable of each kind."""
    with LiteRT().open(request.param(tmp_path / "net.tflite"), {"state": "keep"}) as opened:
        yield opened


def ones(session: Session) -> dict[str, Any]:
    return {"x": np.ones(session.inputs[0].shape, np.float32)}


def sums(found: Sequence[Mapping[str, Any]]) -> list[float]:
    return [float(outputs_of(one).ravel()[0]) for one in found]


def test_a_session_that_keeps_a_state_refuses_a_second_thread(summing: LiteRTSession) -> None:
    feed = ones(summing)
    assert sums([summing.run(feed)]) == [1]

    errors = together(lambda _: summing.run(feed))

    assert len(errors) == THREADS
    assert all("belongs to the thread that ran it first" in str(err) for err in errors)
    assert sums([summing.run(feed)]) == [2]


def test_a_stream_takes_over_a_session_that_keeps_a_state(summing: LiteRTSession) -> None:
    feed = ones(summing)

    assert sums([summing.run(feed)]) == [1]
    assert sums(list(stream([feed] * 4, summing))) == [2, 3, 4, 5]
    assert sums(run_batch(summing, [feed] * 2)) == [6, 7]


def test_two_sessions_that_keep_a_state_share_no_stream(tmp_path: Path) -> None:
    path = recurrent(tmp_path / "net.tflite")
    keep = {"state": "keep"}
    with (
        LiteRT().open(path, keep) as one,
        LiteRT().open(path, keep) as two,
        pytest.raises(UserError, match="cannot share a stream"),
    ):
        SessionPool(one, two)


def test_a_bound_call_of_a_file_with_variables_is_disturbed_by_no_other_thread(tmp_path: Path) -> None:
    with LiteRT().open(recurrent(tmp_path / "net.tflite"), {}) as session:
        feed = ones(session)
        call = session.bind(feed)
        first = sums([call()])

        errors = together(lambda place: call() if place % 2 else session.run(feed))

        assert len(errors) == THREADS
        assert sums([call(), call()]) == [first[0] + 1, first[0] + 2]


def test_runs_that_reset_their_state_are_shared(tmp_path: Path) -> None:
    for file in (recurrent, counting):
        with LiteRT().open(file(tmp_path / f"{file.__name__}.tflite"), {}) as session:
            feed, found = ones(session), [0.0] * THREADS

            def work(place: int, session: Session = session, feed: Any = feed, found: list[float] = found) -> None:
                found[place] = max(sums([session.run(feed) for _ in range(20)]))

            assert together(work) == []
            assert found == [1.0] * THREADS


def test_what_keeps_threads_apart_is_a_lock_and_few_instructions() -> None:
    """Its time, at most 300 ns a call, is measured by `benchmarks/runtime_overhead.py`."""
    with LiteRT().open(DATA / "linear.tflite", {}) as session:
        feed = {"x": np.zeros((1, 3), np.float32)}
        session.run(feed)

        shared, alone = instructions(lambda: session.run(feed)), instructions(lambda: bare(session, feed))

    assert alone < shared <= alone + 15


def bare(session: LiteRTSession, feed: Mapping[str, Any]) -> Mapping[str, Any]:
    """The work of `run` without what keeps threads apart."""
    session._engine.reset_all_variables()
    plan = session._last
    if plan is not None and plan.takes(feed):
        return plan.invoke()
    return {}
