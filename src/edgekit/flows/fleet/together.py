"""Together: the work of several devices at the same time, and an end to all of it on Ctrl-C."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final, Protocol

from edgekit.core.errors import Interrupted
from edgekit.core.system import processes
from edgekit.core.system.progress import Progress

# Time for the threads to free their devices after their launches were killed, and then to end: a second is too long.
_PARTING_S: Final = 0.65
_ENDING_S: Final = 0.2


class Stop:
    """Whether work has to end; checked before each launch."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    @property
    def is_set(self) -> bool:
        """True once `set` was called."""
        return self._stopped.is_set()

    def set(self) -> None:
        """Ask all work to end."""
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Wait for at most `seconds`; True if work has to end."""
        return self._stopped.wait(seconds)

    def check(self) -> None:
        """Raise `Interrupted` if work has to end."""
        if self.is_set:
            raise Interrupted("Stopped by Ctrl-C.")


Work = Callable[[Stop], None]
"""The work of one device: it keeps its own results, and ends soon after it was asked to."""


class Scheduler(Protocol):
    """Decides when and where the work of each device runs: the seam for devices that are not on one desk."""

    def run(self, work: Mapping[str, Work], progress: Progress) -> None:
        """Do all work, which is named by device; return when all of it has ended.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed. All work has ended; what it had measured is where it kept it.
        """


class Threads:
    """One thread of this process for each device."""

    def run(self, work: Mapping[str, Work], progress: Progress) -> None:
        """As in `Scheduler`; an exception of one device ends all work, and is raised."""
        stop = Stop()
        shows = len(work) > 1
        workers = [_Worker(name, one, stop, progress if shows else None) for name, one in work.items()]
        try:
            for one in workers:
                one.start()
            _await(workers)
        except BaseException:
            stop.set()
            _end(workers)
            raise


THREADS: Final = Threads()


class _Worker(threading.Thread):
    """The work of one device, below a stage with its name if `progress` is given."""

    def __init__(self, device: str, work: Work, stop: Stop, progress: Progress | None) -> None:
        # Python ends without waiting for daemons: a device that does not let go holds up nobody.
        super().__init__(name=f"edgekit {device}", daemon=True)
        self.device = device
        self.fault: BaseException | None = None
        self._work = work
        self._stop_work = stop
        self._progress = progress

    def run(self) -> None:
        """Do the work, and keep its exception for the thread that waits."""
        try:
            with self._progress.stage(self.device) if self._progress else contextlib.nullcontext():
                self._work(self._stop_work)
        except BaseException as err:  # noqa: BLE001 - raised by the thread that waits
            self.fault = err


def _await(workers: Sequence[_Worker]) -> None:
    """Wait for all, and raise the first exception as soon as there is one."""
    running = list(workers)
    while running:
        # A join without a limit cannot be interrupted by Ctrl-C everywhere.
        running[0].join(0.05)
        for one in workers:
            if one.fault is not None:
                raise one.fault
        running = [one for one in running if one.is_alive()]


def _end(workers: Sequence[_Worker]) -> None:
    """Kill what they launched, let them free their devices, and then kill what still runs."""
    for seconds in (_PARTING_S, _ENDING_S):
        processes.kill_awaited_by({one.ident for one in workers if one.ident})
        deadline = monotonic() + seconds
        for one in workers:
            if one.ident is not None:
                one.join(max(0.0, deadline - monotonic()))
