"""Set up once for the whole process before a command runs: streams, signals, warnings."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from types import FrameType


def prepare() -> None:
    """Make the streams writable, handle stop signals like Ctrl-C, and silence the warnings of packages."""
    _open_streams()
    _unwind_when_stopped()
    if not sys.warnoptions and not {"-v", "--verbose", "--debug"} & set(sys.argv):
        warnings.simplefilter("ignore")


def _open_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller: `edgekit ... >&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - lives as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no 'µ' shows '?'


def _unwind_when_stopped() -> None:
    """CI and ssh stop a job by SIGTERM or SIGHUP: what was begun is then cleaned up as after Ctrl-C."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP on purpose
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
