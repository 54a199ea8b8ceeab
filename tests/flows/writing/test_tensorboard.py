from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from edgekit.core.errors import MissingExtra
from edgekit.core.reports.report import Epoch
from edgekit.core.system.progress import Silent
from edgekit.flows.writing.tensorboard import on_board
from edgekit.train.training_run import HISTORY, history_lines


class Writer:
    """What TensorBoard offers, as far as it is used."""

    made: Writer

    def __init__(self, folder: str) -> None:
        self.scalars: list[tuple[str, float, int]] = []
        self.is_closed = False
        Writer.made = self

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is not among those that edgekit installs."""
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]  # that is what is put there
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)


def _write(run: Path, count: int, metric: float | None = 0.5) -> None:
    epochs = [Epoch(number, 0, 1.0 / number, 0.1, metric, 1.0) for number in range(1, count + 1)]
    (run / HISTORY).write_bytes(history_lines(epochs))


def test_each_epoch_is_written_once_when_it_is_new(board: None, tmp_path: Path) -> None:
    _write(tmp_path, 1)

    with on_board(Silent(), tmp_path, tmp_path / "board") as told:
        _write(tmp_path, 3)
        told.step(3, 3)
        told.step(3, 3)

    names = ["loss", "learning rate", "validation metric"]
    assert [(name, step) for name, _, step in Writer.made.scalars] == [
        (name, step) for step in (2, 3) for name in names
    ]
    assert Writer.made.is_closed


def test_without_a_validation_split_there_is_no_metric(board: None, tmp_path: Path) -> None:
    with on_board(Silent(), tmp_path, tmp_path / "board") as told:
        _write(tmp_path, 1, metric=None)
        told.step(1, 1)

    assert [name for name, *_ in Writer.made.scalars] == ["loss", "learning rate"]


def test_nothing_is_written_unasked(tmp_path: Path) -> None:
    progress = Silent()

    with on_board(progress, tmp_path, None) as told:
        assert told is progress


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    with pytest.raises(MissingExtra) as problem, on_board(Silent(), tmp_path, tmp_path / "board"):
        pass

    assert problem.value.hint == "pip install tensorboard"
