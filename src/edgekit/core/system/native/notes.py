"""What a command reports to the process that waits for it: the model that it opened last, and that it heard a signal.

A process that is inside native code cannot say either; so both are said before.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgekit.core.system.native import memory_limit, time_limit

HEARD: Final = b"!"
MODEL: Final = b"+"

_descriptor: int | None = None


def start(descriptor: int) -> None:
    """Write notes to a pipe; without it there are none."""
    global _descriptor  # noqa: PLW0603 - one process has one parent
    _descriptor = descriptor
    os.set_blocking(descriptor, False)


def is_watched() -> bool:
    """Whether another process waits for this one."""
    return _descriptor is not None


def heard() -> None:
    """Say that a signal was heard, and when."""
    _write(HEARD + f"{time.monotonic():.6f}".encode())


@contextlib.contextmanager
def model_opening(path: Path, *, is_limited: bool = True) -> Iterator[None]:
    """Say that native code opens a model in the block, and limit memory and time; only in the commands of edgekit.

    The limit of memory remains after the block.

    Args:
        is_limited: False for a provider that reserves much more memory than it uses, and takes minutes to translate a
            model, such as a graphics card.
    """
    _write(MODEL + os.fsencode(path).replace(b"\n", b"?"))
    if not is_limited:
        yield
        return
    memory_limit.apply(path)
    with time_limit.opening(path):
        yield


def _write(note: bytes) -> None:
    if _descriptor is not None:
        # A parent that does not read is busy or gone; neither may stop this process.
        with contextlib.suppress(OSError):
            os.write(_descriptor, note + b"\n")
