"""Runs many feeds on one or more sessions: in batches, in the background, or as a stream.

| want | use |
|---|---|
| a list of feeds, fast | `run_batch` |
| outputs while the program does other work | `SessionPool.submit`, in asyncio `SessionPool.run_async` |
| an endless source, in order, with little memory | `stream` |
| the newest frame of a source that does not wait, such as a camera | `newest` |

Threads may share a session, and take turns where the library runs one feed at a time. `SessionPool` and `stream` run
one feed per session at a time. A session that keeps a state runs its feeds one by one, in order, and alone in a pool.
Do not change the arrays of a feed before its outputs are there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from queue import SimpleQueue
from threading import BoundedSemaphore, Condition, Thread
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import numpy as np

from edgekit.core.errors import DeviceUnavailable, UserError
from edgekit.runtime.backend import KeepsState, Session

if TYPE_CHECKING:
    from edgekit.core.samples import Feed

Item = TypeVar("Item")
_Kind = tuple[tuple[str, tuple[int, ...], str], ...]


def run_batch(session: Session, feeds: Iterable[Mapping[str, object]], *, batch_size: int = 32) -> list[Feed]:
    """Outputs of every feed, in order; consecutive feeds run together, up to `batch_size` rows.

    Feeds run one by one if not all inputs and outputs of the model start with the same batch axis, if their other
    sizes or dtypes differ, or if the session keeps a state. Outputs are views of the batch they ran in; the
    caller owns them.

    Raises:
        UserError: As in `Session.run`; feeds before the invalid one may have run.
    """
    if not _has_batch(session) or _keeps_state(session):
        return [session.run(feed) for feed in feeds]
    return [outputs for group in _groups(feeds, batch_size) for outputs in _run_together(session, group)]


class SessionPool:
    """Runs feeds in the background, one thread per session. A context manager: leaving it waits for pending feeds.

    Args:
        sessions: All of the same artifact. They stay open when the pool closes. A session that keeps a state is alone.
        queue_size: How many feeds may be pending, waiting ones included, before `submit` waits.
    """

    def __init__(self, *sessions: Session, queue_size: int = 8) -> None:
        if not sessions or queue_size < 1:
            raise UserError(
                f"A pool needs a session and a queue_size of 1 or more, got {len(sessions)} and {queue_size}."
            )
        if len(sessions) > 1 and any(map(_keeps_state, sessions)):
            raise UserError("Sessions that keep a state cannot share a stream.", hint="Give the pool one session.")
        self.queue_size = queue_size
        self._sessions = sessions
        self._give_back()
        self._idle: SimpleQueue[Session] = SimpleQueue()
        for session in sessions:
            self._idle.put(session)
        self._room = BoundedSemaphore(queue_size)
        self._threads = ThreadPoolExecutor(len(sessions), thread_name_prefix="edgekit-pool")

    def submit(self, feed: Mapping[str, object], *, timeout_s: float | None = None) -> Future[Feed]:
        """A future with the outputs of `feed`; waits while `queue_size` feeds are pending.

        The future raises what `Session.run` raises; other feeds are not affected.

        Raises:
            DeviceUnavailable: The queue was full for `timeout_s` seconds.
            UserError: The pool is closed.
        """
        if not self._room.acquire(timeout=timeout_s):
            raise DeviceUnavailable(f"The queue of {self.queue_size} feeds was full for {timeout_s:g} s.")
        try:
            future = self._threads.submit(self._run, feed)
        except RuntimeError as err:
            self._room.release()
            raise UserError("This pool is closed.") from err
        future.add_done_callback(lambda _: self._room.release())
        return future

    async def run_async(self, feed: Mapping[str, object]) -> Feed:
        """The outputs of `feed`, for asyncio: the event loop keeps running, even while the queue is full.

        Cancelling the task withdraws a feed that has not started. Errors as in `Session.run`.
        """
        try:
            future = self.submit(feed, timeout_s=0)
        except DeviceUnavailable:
            future = await asyncio.to_thread(self.submit, feed)
        return await asyncio.wrap_future(future)

    def close(self, *, cancel: bool = False) -> None:
        """Wait for the pending feeds; with `cancel`, only for those that are already running."""
        self._threads.shutdown(cancel_futures=cancel)
        self._give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self.close(cancel=kind is not None)

    def _give_back(self) -> None:
        """Leave sessions that keep a state to the next thread."""
        for session in self._sessions:
            if isinstance(session, KeepsState):
                session.give_back()

    def _run(self, feed: Mapping[str, object]) -> Feed:
        session = self._idle.get()
        try:
            return session.run(feed)
        finally:
            self._idle.put(session)


def stream(feeds: Iterable[Mapping[str, object]], *sessions: Session, ahead: int = 4) -> Iterator[Feed]:
    """Outputs of `feeds`, one by one and in order, while the next feeds are read and run.

    Args:
        sessions: All of the same artifact; each runs one feed at a time.
        ahead: How many feeds are read ahead of the outputs that the caller takes.

    Raises:
        UserError: As in `Session.run`, instead of the outputs of the invalid feed.
    """
    with SessionPool(*sessions, queue_size=ahead) as pool:
        pending: deque[Future[Feed]] = deque()
        for feed in feeds:
            if len(pending) == ahead:
                yield pending.popleft().result()
            pending.append(pool.submit(feed))
        while pending:
            yield pending.popleft().result()


class newest(Generic[Item]):  # noqa: N801 - read as the function `stream` next to it
    """The newest items of a source that does not wait: a thread reads it, and what came too early is dropped.

    An iterator and a context manager. The last item of a source that ends is always given. An error of the source is
    raised after the items before it.

    Args:
        source: Frames of a camera or the like; it is read from another thread, one item at a time.
        keep: How many items may wait; the oldest is dropped for a new one.

    Attributes:
        dropped: How many items were dropped so far.
    """

    def __init__(self, source: Iterable[Item], *, keep: int = 1) -> None:
        if keep < 1:
            raise UserError(f"keep: expected 1 or more, got {keep}.")
        self.dropped = 0
        self._waiting: deque[Item] = deque(maxlen=keep)
        self._changed = Condition()
        self._is_over = False
        self._error: BaseException | None = None
        # A source that blocks, as an unplugged camera does, shall not keep the program from ending.
        self._reader = Thread(target=self._read, args=(source,), name="edgekit-newest", daemon=True)
        self._reader.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            if self._waiting:
                return self._waiting.popleft()
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            raise StopIteration

    def close(self) -> None:
        """Stop reading after the item that is being read; closing twice is harmless."""
        with self._changed:
            self._is_over = True
            self._waiting.clear()
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read(self, source: Iterable[Item]) -> None:
        try:
            for item in source:
                if not self._is_taken(item):
                    return
        except BaseException as err:  # noqa: BLE001 - the thread that iterates raises it
            self._error = err
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _is_taken(self, item: Item) -> bool:
        with self._changed:
            if self._is_over:
                return False
            self.dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(item)
            self._changed.notify_all()
            return True


def _keeps_state(session: Session) -> bool:
    return isinstance(session, KeepsState) and session.keeps_state


def _has_batch(session: Session) -> bool:
    """Whether every input and output begins with the same free axis."""
    first = {tensor.shape[0] if tensor.shape else None for tensor in (*session.inputs, *session.outputs)}
    return len(first) == 1 and isinstance(next(iter(first)), str)


def _groups(feeds: Iterable[Mapping[str, object]], batch_size: int) -> Iterator[list[Mapping[str, object]]]:
    """Neighbours that may run together, of `batch_size` rows at most unless one feed alone has more."""
    group: list[Mapping[str, object]] = []
    kind: _Kind | None = None
    rows = 0
    for feed in feeds:
        found, count = _kind(feed)
        if group and (found is None or found != kind or rows + count > batch_size):
            yield group
            group, rows = [], 0
        group.append(feed)
        kind, rows = found, rows + count
    if group:
        yield group


def _kind(feed: Mapping[str, object]) -> tuple[_Kind | None, int]:
    """What feeds that run together have in common, and the rows of this one; None for one that must run alone."""
    arrays = {name: value for name, value in feed.items() if isinstance(value, np.ndarray) and value.ndim}
    rows = {len(array) for array in arrays.values()}
    if len(arrays) < len(feed) or len(rows) != 1:
        return None, 0
    return tuple((name, array.shape[1:], array.dtype.str) for name, array in sorted(arrays.items())), rows.pop()


def _run_together(session: Session, group: Sequence[Mapping[str, object]]) -> Iterator[Feed]:
    if len(group) == 1:
        yield session.run(group[0])
        return
    joined = {name: np.concatenate([np.asarray(feed[name]) for feed in group]) for name in group[0]}
    outputs = session.run(joined)
    ends = list(accumulate(len(np.asarray(next(iter(feed.values())))) for feed in group))
    for start, end in zip([0, *ends], ends, strict=False):
        yield {name: array[start:end] for name, array in outputs.items()}
