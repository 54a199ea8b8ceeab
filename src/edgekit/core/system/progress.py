"""Progress: how long work tells what it is doing, without knowing who listens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Progress(Protocol):
    """Told of stages and steps. The command line draws them; a program may pass its own."""

    def stage(self, title: str) -> contextlib.AbstractContextManager[None]:
        """A named piece of work that lasts as long as the block."""

    def step(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` steps of the current stage; `note` says what was just finished."""


class Silent:
    """Tells nobody."""

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Do nothing around the block."""
        yield

    def step(self, done: int, total: int, note: str = "") -> None:
        """Do nothing."""
