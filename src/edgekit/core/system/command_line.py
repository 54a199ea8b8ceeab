"""The command line of this process, for documents that say how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_ARGUMENTS: ContextVar[tuple[str, ...]] = ContextVar("arguments", default=())


def arguments() -> tuple[str, ...]:
    """What followed `edgekit`, as the shell split it; empty for a call from Python."""
    return _ARGUMENTS.get()


@contextmanager
def given(words: Sequence[str]) -> Iterator[None]:
    """Make `words` the arguments of everything in the block."""
    token = _ARGUMENTS.set(tuple(words))
    try:
        yield
    finally:
        _ARGUMENTS.reset(token)
