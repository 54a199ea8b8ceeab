"""How long a backend may take to open a model: after that the system ends the process, and its parent says why.

Native code does not hear a request to stop, so a timer of the system ends it. Programs that use edgekit as a library
have no limit: it would end them as well.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from edgekit.core.errors import ModelUnreadable
from edgekit.core.system.native.environment import hand_on, number_of

VARIABLE: Final = "EDGEKIT_OPEN_S"
# The name of the signal that ends the process.
ENDED_BY: Final = "SIGALRM"
# Optimizing the graph of a large network takes a minute on a small machine.
_FREE_S: Final = 300.0
_BYTES_PER_S: Final = 1_000_000

_wanted: Callable[[], float] | None = None
_lock = threading.Lock()
_open = 0


def from_environment() -> float:
    """The limit in seconds that the parent of this process has set; 0 without one."""
    return number_of(VARIABLE)


def start(wanted: Callable[[], float] = from_environment) -> None:
    """Limit this process; `wanted` gives seconds, or 0 for a limit by the size of the file."""
    global _wanted  # noqa: PLW0603 - the timer of the system is one of the whole process as well
    _wanted = wanted


@contextlib.contextmanager
def opening(path: Path) -> Iterator[None]:
    """End this process if the block, in which a backend opens the model at `path`, takes too long after `start`.

    Of several threads that open models, the last one to begin sets the time.
    """
    global _open  # noqa: PLW0603 - see above
    if _wanted is None or not hasattr(signal, "setitimer"):
        yield
        return
    given = _wanted()
    hand_on(VARIABLE, given)
    with _lock:
        _open += 1
        signal.setitimer(signal.ITIMER_REAL, limit_s(path, given))
    try:
        yield
    finally:
        with _lock:
            _open -= 1
            if not _open:
                signal.setitimer(signal.ITIMER_REAL, 0.0)


def limit_s(path: Path, given: float) -> float:
    """The limit in seconds for the model at `path`: what is `given`, or 300 s and one more for each MB."""
    return given or _FREE_S + (path.stat().st_size / _BYTES_PER_S if path.is_file() else 0.0)


def exceeded(path: Path, given: float | None = None) -> ModelUnreadable:
    """The error for a model that was not open in time; without `given`, with the limit of this process."""
    if given is None:
        given = from_environment() if _wanted is None else _wanted()
    limit = limit_s(path, given)
    return ModelUnreadable(
        f"The backend did not open '{path}' within {limit:.0f} s.",
        hint=f"{shlex.join(['export', f'{VARIABLE}={2 * limit:.0f}'])}   # if the model needs more time",
    )
