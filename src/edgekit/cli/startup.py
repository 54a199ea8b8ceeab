"""Set up once for the whole process before a command runs: streams, signals, warnings."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
import warnings
from types import FrameType
from typing import TYPE_CHECKING, Final

from edgekit.core.system.native import memory_limit, notes, stops, time_limit
from edgekit.core.system.native.forks import STOPS

if TYPE_CHECKING:
    from edgekit.core.system.settings import Settings

# A signal that comes again so soon was sent to this process and to its parent.
_SAME_S: Final = 0.5


def prepare(until_now: object = None) -> None:
    """Make the streams writable, handle stop signals like Ctrl-C, and silence the warnings of packages.

    Args:
        until_now: What handles these signals before, if it is not Python itself.
    """
    _open_streams()
    _unwind_when_stopped((signal.SIG_DFL, signal.default_int_handler, until_now))
    memory_limit.start(lambda: _settings().memory_gb)
    time_limit.start(open_s)
    if not sys.warnoptions and not {"-v", "--verbose", "--debug"} & set(sys.argv):
        warnings.simplefilter("ignore")


def _open_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller: `edgekit ... >&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - lives as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no 'µ' shows '?'


def _unwind_when_stopped(before: tuple[object, ...]) -> None:
    """CI and ssh stop a job by SIGTERM or SIGHUP: what was begun is then cleaned up as after Ctrl-C."""
    last = 0.0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        notes.heard()
        previous, last = last, time.monotonic()
        if (not notes.is_watched() or last - previous > _SAME_S) and not stops.hold():
            raise KeyboardInterrupt

    for number in STOPS:
        # nohup ignores SIGHUP on purpose, and a shell ignores SIGINT for its jobs in the background
        if signal.getsignal(number) in before:
            signal.signal(number, interrupt)


def open_s() -> float:
    """The setting `open_s`."""
    return _settings().open_s


def _settings() -> Settings:
    import platformdirs

    from edgekit.core.system.settings import USER_FILE, load_settings

    return load_settings(user_file=platformdirs.user_config_path("edgekit") / USER_FILE)[0]
