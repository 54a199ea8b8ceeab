"""Many feeds: in batches, in the background, as a stream."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.core.errors import DeviceUnavailable, UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.backend import BACKENDS, Session
from edgekit.runtime.backends.litert import LiteRT
from edgekit.runtime.backends.onnxruntime import OnnxRuntime
from edgekit.runtime.serving import SessionPool, newest, run_batch, stream

Rows = NDArray[np.float32]
FILES = {"onnxruntime": "linear.onnx", "litert": "linear.tflite", "fake": "linear.fake.json"}


class Gated:
    """A session that answers only when it is let; counts how many calls run at once."""

    backend = provider = "gated"

    def __init__(self) -> None:
        self.inputs: tuple[TensorSpec, ...] = (TensorSpec("x", "float32", ("N",)),)
        self.outputs: tuple[TensorSpec, ...] = self.inputs
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.running = self.most = self.calls = 0

    def run(self, feed: Mapping[str, object]) -> Feed:
        self.running += 1
        self.calls += 1
        self.most = max(self.most, self.running)
        self.begun.release()
        assert self.gate.wait(30)
        self.running -= 1
        return {"x": np.asarray(feed["x"])}

    def bind(self, feed: Mapping[str, object]) -> Callable[[], Feed]:
        return lambda: self.run(feed)

    def close(self) -> None:
        self.gate.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Counted:
    """A session that counts its calls and their rows."""

    def __init__(self, session: Session) -> None:
        self.rows: list[int] = []
        self._run = session.run
        session.run = self.run  # type: ignore[method-assign] # looks in on a real session

    def run(self, feed: Mapping[str, object]) -> Feed:
        self.rows.append(len(np.asarray(next(iter(feed.values())))))
        return self._run(feed)


def single(rows: Rows) -> list[dict[str, Rows]]:
    return [{"x": rows[place : place + 1]} for place in range(len(rows))]


def joined(outputs: Sequence[Feed]) -> NDArray[np.generic]:
    return np.concatenate([output["y"] for output in outputs])


@pytest.fixture(params=FILES)
def session(request: pytest.FixtureRequest, data: Path) -> Iterator[Session]:
    """A session of each backend."""
    with BACKENDS.get(request.param)().open(data / FILES[request.param], {}) as opened:
        yield opened


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_a_batch_gives_every_feed_its_own_outputs(
    session: Session, rows: Rows, expected: Rows, batch_size: int
) -> None:
    outputs = run_batch(session, single(rows), batch_size=batch_size)

    assert [output["y"].shape for output in outputs] == [(1, 2)] * 12
    np.testing.assert_array_equal(joined(outputs), expected)


def test_as_few_runs_are_made_as_the_batch_size_allows(data: Path, rows: Rows) -> None:
    with OnnxRuntime().open(data / "linear.onnx", {}) as session:
        counted = Counted(session)

        run_batch(session, single(rows), batch_size=5)

    assert counted.rows == [5, 5, 2]


def test_feeds_of_several_rows_are_kept_whole(data: Path, rows: Rows, expected: Rows) -> None:
    feeds = [{"x": rows[:3]}, {"x": rows[3:5]}, {"x": rows[5:12]}]

    with OnnxRuntime().open(data / "linear.onnx", {}) as session:
        counted = Counted(session)
        outputs = run_batch(session, feeds, batch_size=6)

    assert counted.rows == [5, 7]
    assert [len(output["y"]) for output in outputs] == [3, 2, 7]
    np.testing.assert_array_equal(joined(outputs), expected)


def test_feeds_of_other_lengths_run_apart(data: Path) -> None:
    feeds = [{"ids": np.zeros((1, t), np.int64)} for t in (3, 3, 4, 3)]

    with OnnxRuntime().open(data / "lookup.onnx", {}) as session:
        counted = Counted(session)
        outputs = run_batch(session, feeds)

    assert counted.rows == [2, 1, 1]
    assert [output["features"].shape for output in outputs] == [(1, 3, 2), (1, 3, 2), (1, 4, 2), (1, 3, 2)]


def test_two_wrong_feeds_do_not_make_a_right_batch(data: Path, rows: Rows) -> None:
    feeds = [{"a": rows[:2], "b": rows[:3]}, {"a": rows[:3], "b": rows[:2]}]

    with OnnxRuntime().open(data / "two.onnx", {}) as session, pytest.raises(UserError, match="Axis N is 2 in 'a'"):
        run_batch(session, feeds)


def test_a_model_without_a_batch_axis_runs_feed_by_feed(data: Path) -> None:
    feeds = [{"x": np.array([1, 0, 1], np.float32)}, {"x": np.array([0, 1], np.float32)}]

    with OnnxRuntime().open(data / "nonzero.onnx", {}) as session:
        outputs = run_batch(session, feeds)

    assert [output["places"].tolist() for output in outputs] == [[[0, 2]], [[1]]]


def test_no_feeds_give_no_outputs(session: Session) -> None:
    assert run_batch(session, []) == []
    assert list(stream([], session)) == []


def test_a_pool_answers_in_the_background(session: Session, rows: Rows, expected: Rows) -> None:
    with SessionPool(session) as pool:
        futures = [pool.submit(feed) for feed in single(rows)]

    np.testing.assert_array_equal(joined([future.result() for future in futures]), expected)


def test_a_wrong_feed_fails_alone(session: Session, rows: Rows, expected: Rows) -> None:
    with SessionPool(session) as pool:
        wrong, right = pool.submit({"z": rows}), pool.submit({"x": rows})

    with pytest.raises(UserError, match="'z' is not an input"):
        wrong.result()
    np.testing.assert_array_equal(right.result()["y"], expected)


def test_a_full_queue_holds_the_caller_back() -> None:
    session = Gated()
    with SessionPool(session, queue_size=2) as pool:
        first, second = pool.submit({"x": [1]}), pool.submit({"x": [2]})

        with pytest.raises(DeviceUnavailable, match="The queue of 2 feeds was full"):
            pool.submit({"x": [3]}, timeout_s=0.05)
        session.gate.set()
        third = pool.submit({"x": [3]}, timeout_s=30)

    assert [future.result()["x"].tolist() for future in (first, second, third)] == [[1], [2], [3]]


def test_each_session_is_used_by_one_thread_at_a_time() -> None:
    sessions = [Gated(), Gated()]
    with SessionPool(*sessions, queue_size=20) as pool:
        for place in range(20):
            pool.submit({"x": [place]})
        for session in sessions:
            assert session.begun.acquire(timeout=30)
            session.gate.set()

    assert [session.most for session in sessions] == [1, 1]
    assert sum(session.calls for session in sessions) == 20


def test_an_error_in_the_block_drops_what_has_not_begun() -> None:
    session = Gated()

    def fail() -> None:
        with SessionPool(session) as pool:
            for place in range(5):
                pool.submit({"x": [place]})
            assert session.begun.acquire(timeout=30)
            session.gate.set()
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()

    assert session.calls < 5


def test_a_closed_pool_says_so_and_leaves_no_thread(session: Session, rows: Rows) -> None:
    pool = SessionPool(session)
    pool.submit({"x": rows}).result()
    pool.close()
    pool.close()

    with pytest.raises(UserError, match="closed"):
        pool.submit({"x": rows})
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgekit-pool")]


@pytest.mark.parametrize(("sessions", "queue_size"), [(0, 1), (1, 0)])
def test_a_pool_without_session_or_room_is_refused(sessions: int, queue_size: int) -> None:
    with pytest.raises(UserError, match="needs a session and a queue_size of 1 or more"):
        SessionPool(*[Gated() for _ in range(sessions)], queue_size=queue_size)


def test_asyncio_gets_the_outputs(session: Session, rows: Rows, expected: Rows) -> None:
    async def all_of_them(pool: SessionPool) -> list[Feed]:
        return await asyncio.gather(*(pool.run_async(feed) for feed in single(rows)))

    with SessionPool(session, queue_size=3) as pool:
        outputs = asyncio.run(all_of_them(pool))

    np.testing.assert_array_equal(joined(outputs), expected)


def test_the_event_loop_runs_on_while_there_is_no_room() -> None:
    session = Gated()

    async def main(pool: SessionPool) -> list[Feed]:
        tasks = [asyncio.create_task(pool.run_async({"x": [place]})) for place in range(3)]
        await asyncio.sleep(0.05)
        session.gate.set()
        return await asyncio.gather(*tasks)

    with SessionPool(session, queue_size=1) as pool:
        outputs = asyncio.run(main(pool))

    assert sorted(int(output["x"][0]) for output in outputs) == [0, 1, 2]


def test_a_cancelled_task_withdraws_its_feed() -> None:
    session = Gated()

    async def main(pool: SessionPool) -> None:
        tasks = [asyncio.create_task(pool.run_async({"x": [place]})) for place in range(3)]
        await asyncio.to_thread(session.begun.acquire, timeout=30)
        tasks[2].cancel()
        await asyncio.wait([tasks[2]])
        session.gate.set()
        await asyncio.gather(*tasks[:2])

    with SessionPool(session, queue_size=3) as pool:
        asyncio.run(main(pool))

    assert session.calls == 2


def test_a_stream_keeps_the_order(session: Session, rows: Rows, expected: Rows) -> None:
    np.testing.assert_array_equal(joined(list(stream(iter(single(rows)), session))), expected)


def test_a_stream_over_several_sessions_keeps_the_order(data: Path, rows: Rows, expected: Rows) -> None:
    with LiteRT().open(data / "linear.tflite", {}) as one, LiteRT().open(data / "linear.tflite", {}) as two:
        outputs = list(stream(iter(single(rows) * 20), one, two))

    np.testing.assert_array_equal(joined(outputs), np.tile(expected, (20, 1)))


def test_a_stream_reads_no_further_ahead_than_told(session: Session, rows: Rows) -> None:
    read = 0

    def source() -> Iterator[dict[str, Rows]]:
        nonlocal read
        while True:
            read += 1
            yield {"x": rows[:1]}

    outputs = stream(source(), session, ahead=3)
    for taken in range(1, 8):
        next(outputs)
        assert read <= taken + 3
    outputs.close()  # type: ignore[attr-defined] # stream is a generator

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgekit-pool")]


def test_a_wrong_feed_is_raised_in_its_place(session: Session, rows: Rows, expected: Rows) -> None:
    outputs = stream([{"x": rows}, {"z": rows}, {"x": rows}], session)

    np.testing.assert_array_equal(next(outputs)["y"], expected)
    with pytest.raises(UserError, match="'z' is not an input"):
        next(outputs)


def test_an_error_of_the_source_reaches_the_caller(session: Session, rows: Rows) -> None:
    def source() -> Iterator[dict[str, Rows]]:
        yield {"x": rows}
        raise OSError("camera is gone")

    with pytest.raises(OSError, match="camera is gone"):
        list(stream(source(), session))


class Camera:
    """A source that does not wait: gives numbers as fast as `step` lets it."""

    def __init__(self, count: int) -> None:
        self.count, self.given, self.step = count, 0, threading.Semaphore(0)

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            assert self.step.acquire(timeout=30)
            self.given += 1
            yield number


@pytest.mark.parametrize("keep", [1, 3])
def test_frames_that_come_too_early_are_dropped_and_the_last_is_given(keep: int) -> None:
    camera = Camera(10)
    with newest(camera, keep=keep) as frames:
        camera.step.release(1)
        assert next(frames) == 0
        camera.step.release(9)
        frames._reader.join(30)

        assert list(frames) == list(range(10 - keep, 10))
        assert frames.dropped == 9 - keep


def test_nothing_is_dropped_from_a_slow_source() -> None:
    camera = Camera(5)
    seen = []
    with newest(camera) as frames:
        for _ in range(5):
            camera.step.release(1)
            seen.append(next(frames))

        assert list(frames) == []
        assert (seen, frames.dropped) == ([0, 1, 2, 3, 4], 0)


def test_an_error_of_the_camera_comes_after_its_last_frame() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("camera is gone")

    with newest(broken()) as frames:
        assert next(frames) == 1
        with pytest.raises(OSError, match="camera is gone"):
            next(frames)
        assert list(frames) == []


def test_closing_stops_the_reader_and_a_room_of_none_is_refused() -> None:
    camera = Camera(100)
    with newest(camera) as frames:
        camera.step.release(1)
        assert next(frames) == 0
    camera.step.release(99)
    frames._reader.join(30)

    assert not frames._reader.is_alive()
    assert camera.given <= 2
    with pytest.raises(UserError, match="keep: expected 1 or more, got 0"):
        newest([], keep=0)
