"""Progress on stderr: bars on a terminal, one line per stage elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Final, Self

from edgekit.cli.printing import printable
from edgekit.core.system.progress import Progress, Silent
from edgekit.report.plain import clean

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task, TaskID
    from rich.text import Text

SILENCE_S: Final = 9.0
_INDENT: Final = "  "


@contextlib.contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Show the progress of the work in the block."""
    if quiet:
        yield Silent()
    # Asked of the stream itself: with FORCE_COLOR set, rich takes every pipe for a terminal and draws bars into logs.
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with Bars() as bars:
            yield bars
    else:
        with Lines(sys.stderr) as lines:
            yield lines


class Lines:
    """One line when a stage begins, with the seconds since the start, and one where none was written for a while.

    The latter name the latest stage that still runs and its steps, so that long work in a log never looks stopped.
    Threads have stages and steps of their own, below those of the thread that made this.
    """

    def __init__(
        self, stream: IO[str], clock: Callable[[], float] = time.perf_counter, silence_s: float = SILENCE_S
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._silence_s = silence_s
        self._start = self._written = clock()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._owner = threading.get_ident()
        self._running: list[tuple[int, str]] = []
        self._steps: dict[int, str] = {}

    def __enter__(self) -> Self:
        threading.Thread(target=self._break_silence, name="progress", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Write the title; stages within a stage are indented."""
        here = threading.get_ident(), title
        with self._lock:
            self._write(f"{_INDENT * self._depth(here[0])}{title}")
            self._running.append(here)
            self._steps.pop(here[0], None)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(here)
                self._steps.pop(here[0], None)

    def step(self, done: int, total: int, note: str = "") -> None:
        """Keep it for the next line that breaks a silence."""
        with self._lock:
            self._steps[threading.get_ident()] = f"{done} of {total}" + (f", {note}" if note else "")

    def _depth(self, thread: int) -> int:
        return sum(one in (thread, self._owner) for one, _ in self._running)

    def _write(self, text: str) -> None:
        now = self._written = self._clock()
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more; the work goes on
            self._stream.write(printable(f"{now - self._start:7.1f} s  {clean(text)}\n"))
            self._stream.flush()

    def _break_silence(self) -> None:
        left = self._silence_s
        while not self._ended.wait(left):
            with self._lock:
                left = self._silence_s - (self._clock() - self._written)
                if left <= 0 and not self._ended.is_set():
                    for line in self._states():
                        self._write(line)
                    left = self._silence_s

    def _states(self) -> list[str]:
        """A line for each thread that works; the owner's stage alone while no other thread has one."""
        latest = dict(self._running)
        if len(latest) > 1:
            latest.pop(self._owner, None)
        return [self._state(thread, title) for thread, title in (latest or {self._owner: "running"}).items()]

    def _state(self, thread: int, title: str) -> str:
        step = self._steps.get(thread, "")
        return f"{_INDENT * self._depth(thread)}still {title}{f': {step}' if step else ''}"


def _clock() -> ProgressColumn:
    """A column with the time that is left, or the time since the start while nobody can tell."""
    from rich.progress import TimeElapsedColumn, TimeRemainingColumn

    class Clock(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            if task.total is None or task.time_remaining is None:
                return TimeElapsedColumn().render(task)
            return super().render(task).append(" left")

    return Clock(compact=True)


class Bars:
    """A bar for each stage that runs, and a line with its duration for each that ended. Stages nest and may overlap."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[count]}", markup=False),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            _clock(),
            # Ten minutes: of steps that take longer than rich's usual 30 s it would never know an end.
            speed_estimate_period=600,
            console=Console(stderr=True, force_terminal=True),
            refresh_per_second=4,  # drawing must not disturb what is measured meanwhile
            redirect_stdout=False,
            transient=True,
        )
        self._stages = threading.local()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    @property
    def _running(self) -> list[TaskID]:
        """Stages of this thread, the innermost last."""
        if not hasattr(self._stages, "running"):
            self._stages.running = []
        running: list[TaskID] = self._stages.running
        return running

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show a bar while the block runs."""
        start = time.perf_counter()
        line = f"{_INDENT * len(self._running)}{clean(title)}"
        task = self._bars.add_task(line, total=None, count="", note="")
        self._running.append(task)
        try:
            yield
        finally:
            self._running.remove(task)
            self._bars.remove_task(task)
        self._bars.console.print(
            f"{line}  {time.perf_counter() - start:.1f} s", markup=False, highlight=False, style="dim"
        )

    def step(self, done: int, total: int, note: str = "") -> None:
        """Move the bar of the innermost stage."""
        if self._running:
            self._bars.update(self._running[-1], completed=done, total=total, count=f"{done}/{total}", note=clean(note))
