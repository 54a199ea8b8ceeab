"""TensorBoard logs of a training: new epochs of the history are written there as well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.core.errors import EnvironmentFault, MissingExtra
from edgekit.core.system.optional import need
from edgekit.core.system.progress import Progress


@contextlib.contextmanager
def on_board(progress: Progress, run: Path, folder: Path | None) -> Iterator[Progress]:
    """`progress` that also writes the epochs of `run` to TensorBoard files in `folder`; unchanged if `folder` is None.

    Raises:
        MissingExtra: TensorBoard is not installed.
        EnvironmentFault: The folder cannot be written.
    """
    if folder is None:
        yield progress
        return
    writer = _writer(folder)
    try:
        yield Board(progress, run, writer)
    finally:
        writer.close()


class Board:
    """Progress that writes the new epochs after every step and forwards everything."""

    def __init__(self, progress: Progress, run: Path, writer: Any) -> None:
        self._progress = progress
        self._run = run
        self._writer = writer
        # A training that goes on has written its first epochs when they were new.
        self._written = len(self._history())

    def stage(self, title: str) -> contextlib.AbstractContextManager[None]:
        """Forward a stage."""
        return self._progress.stage(title)

    def step(self, done: int, total: int, note: str = "") -> None:
        """Write the new epochs of the history."""
        epochs = self._history()
        for number, epoch in enumerate(epochs[self._written :], start=self._written + 1):
            self._writer.add_scalar("loss", epoch.loss, number)
            self._writer.add_scalar("learning rate", epoch.learning_rate, number)
            if epoch.metric is not None:
                self._writer.add_scalar("validation metric", epoch.metric, number)
        self._written = len(epochs)
        self._progress.step(done, total, note)

    def _history(self) -> tuple[Any, ...]:
        from edgekit.train.training_run import read_history

        return read_history(self._run)


def _writer(folder: Path) -> Any:
    try:
        board = need("torch.utils.tensorboard", extra="train")
    except MissingExtra as err:
        raise MissingExtra("--tensorboard needs the package 'tensorboard'.", hint="pip install tensorboard") from err
    try:
        return board.SummaryWriter(str(folder))
    except OSError as err:
        raise EnvironmentFault(f"Cannot write to '{folder}': {err.strerror or err}.") from err
