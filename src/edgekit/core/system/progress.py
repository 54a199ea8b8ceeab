"""Progress: how long work reports what it is doing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Progress(Protocol):
    """Receives stages and steps. The command line displays them; a program can pass its own."""

    def stage(self, title: str) -> contextlib.AbstractContextManager[None]:
        """A named piece of work that lasts as long as the block."""

    def step(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` steps of the current stage; `note` says what was just finished."""


class Silent:
    """Ignores all progress."""

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Do nothing around the block."""
        yield

    def step(self, done: int, total: int, note: str = "") -> None:
        """Do nothing."""
