"""One training in several processes of this machine, and how the first one reports progress to the waiting parent."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import Final, Self

from lightning_fabric import Fabric

from edgekit.core.errors import EdgekitError
from edgekit.core.system.processes import away_from_here
from edgekit.core.system.progress import Progress, Silent

Work = Callable[[Fabric, Progress], None]
_LOOK_S: Final = 0.2
# Every new process imports this file before it begins, and would log its rank and its connections.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def is_one_of_many() -> bool:
    """True under `torchrun`, which starts all processes itself."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def leads() -> bool:
    """True for the process that writes files and reports progress."""
    return not is_one_of_many() or os.environ.get("RANK", "0") == "0"


@away_from_here()
def spread(work: Work, accelerator: str, count: int, progress: Progress) -> None:
    """Run `work`, which must be picklable, in `count` new processes that average their gradients.

    Raises:
        EdgekitError: The error that the first process raised.
    """
    fabric = Fabric(accelerator=accelerator, devices=count, strategy="ddp_spawn")
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    with receiver, sender, Listener(receiver, progress, f"{count} processes") as listener, _ended_together():
        try:
            fabric.launch(partial(_one, work=work, sender=sender))
        except Exception as err:
            listener.stop()
            raise (listener.problem or err) from err


def _one(fabric: Fabric, *, work: Work, sender: Connection) -> None:
    """What each process does; the first one reports."""
    try:
        work(fabric, _Reporter(sender) if fabric.is_global_zero else Silent())
    except EdgekitError as err:
        if fabric.is_global_zero:
            sender.send(err)
        raise


class _Reporter(Silent):
    """Progress in a different process than the one that shows it."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender

    def step(self, done: int, total: int, note: str = "") -> None:
        """Send it to the process that shows it, which may have ended."""
        with contextlib.suppress(OSError):
            self._sender.send((done, total, note))


class Listener:
    """Shows what comes through a pipe as progress, in a thread, while the parent waits for its processes."""

    def __init__(self, receiver: Connection, progress: Progress, title: str) -> None:
        self.problem: EdgekitError | None = None
        self._receiver, self._progress, self._title = receiver, progress, title
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Receive what was sent so far; `problem` is the last error in it."""
        self._over.set()
        self._thread.join()

    def _listen(self) -> None:
        with self._progress.stage(self._title), contextlib.suppress(EOFError, OSError):
            while not self._over.is_set():
                self._take()
            self._take()

    def _take(self) -> None:
        while self._receiver.poll(0 if self._over.is_set() else _LOOK_S):
            received = self._receiver.recv()
            if isinstance(received, EdgekitError):
                self.problem = received
            else:
                self._progress.step(*received)


@contextlib.contextmanager
def _ended_together() -> Iterator[None]:
    """No process that was started in the block outlives it, whatever was interrupted."""
    before = set(multiprocessing.active_children())
    try:
        yield
    finally:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
            child.join()
