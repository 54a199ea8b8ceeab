"""Holds back what stops a command while it cleans up: a folder that is half removed would be left."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class _Held:
    """How many blocks hold stops back, and whether one arrived in them."""

    depth = 0
    has_arrived = False


@contextlib.contextmanager
def held() -> Iterator[None]:
    """A stop that arrives within the block takes effect at its end; a second one at once.

    Raises:
        KeyboardInterrupt: At the end, if a stop arrived.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread handles signals
        yield
        return
    _Held.depth += 1
    try:
        yield
    finally:
        _Held.depth -= 1
        if not _Held.depth and _Held.has_arrived:
            _Held.has_arrived = False
            raise KeyboardInterrupt


def hold() -> bool:
    """Whether the stop that has just arrived waits for the end of such a block."""
    if not _Held.depth or _Held.has_arrived:
        return False
    _Held.has_arrived = True
    return True
