"""The `edgekit` program: runs one command line and turns whatever happens into an exit code."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn

# What `Interrupted` says and exits with, for the moments in which it cannot be imported.
_INTERRUPTED: Final = 130
_SAYS: Final = b"Interrupted.\n"


def main() -> NoReturn:
    """Run the command line of this process in a child, and exit with its code."""
    arguments = sys.argv[1:]
    _on_stops(_end_at_once)
    try:
        from edgekit.cli.supervisor import supervised

        code = supervised(lambda: _prepared(arguments), lambda err: _failed(err, arguments))
    except (Exception, KeyboardInterrupt) as err:  # noqa: BLE001 - the system may refuse a pipe or a process
        code = _failed(err, arguments)
    _on_stops(signal.SIG_IGN)  # all is done and said
    _end(code)


def _end(code: int) -> NoReturn:
    """End this process without what its packages do at their end: it takes up to a second, and may crash."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _on_stops(do: Callable[..., object] | signal.Handlers) -> None:
    """Let signals that stop a command do this, except those that the caller ignores, as `nohup` does."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, do)


def _end_at_once(*_: object) -> NoReturn:
    """What a signal does until the command begins: there is nothing to clean up, and packages are half loaded."""
    os.write(2, _SAYS)
    os._exit(_INTERRUPTED)


def _prepared(arguments: list[str]) -> int:
    """Set up this process, and run the command line."""
    try:
        from edgekit.cli.startup import prepare

        prepare(_end_at_once)
        return run(arguments)
    except KeyboardInterrupt as err:
        return _failed(err, arguments)


def run(arguments: list[str]) -> int:
    """Run one command line, and give its exit code. Nothing is raised, whatever the command does."""
    try:
        from edgekit.cli.program import invoke

        code = invoke(arguments)
        sys.stdout.flush()
        return code
    except BaseException as err:  # noqa: BLE001 - the one place where every failure becomes an exit code
        return _failed(err, arguments)


def _failed(err: BaseException, arguments: list[str]) -> int:
    try:
        from edgekit.cli.failures import report

        return report(err, arguments)
    except Exception:
        if not isinstance(err, KeyboardInterrupt):
            raise
        # A package whose import was interrupted does not load again.
        os.write(2, _SAYS)
        return _INTERRUPTED
