from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgekit.core.errors import DiskFull
from edgekit.core.system.progress import Silent
from edgekit.train.fitting.checkpoint import BEST
from edgekit.train.fitting.distributed import Listener
from edgekit.train.fitting.loop import train
from edgekit.train.models.tables.xor import MODEL
from edgekit.train.options import with_overrides
from edgekit.train.training_run import read_run
from edgekit.train.weights import read_tensors

pytestmark = pytest.mark.slow
OPTIONS = with_overrides(MODEL.options, {"epochs": "2", "passes": "20", "restarts": "0"})


def same(first: Path, second: Path) -> bool:
    one, two = read_tensors(first / BEST), read_tensors(second / BEST)
    # Gradients are summed in another order: float32 rounding over 40 steps.
    return all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


class Heard(Silent):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def step(self, done: int, total: int, note: str = "") -> None:
        assert note.startswith("loss ")
        self.steps.append((done, total))


def test_two_processes_give_what_one_gives_at_the_same_batch(tmp_path: Path) -> None:
    train(MODEL, tmp_path / "one", OPTIONS)
    heard = Heard()

    run = train(MODEL, tmp_path / "two", OPTIONS, processes=2, progress=heard)

    assert run.processes == 2
    assert heard.steps == [(1, 2), (2, 2)]
    assert multiprocessing.active_children() == []
    assert same(tmp_path / "one", tmp_path / "two")


def test_what_a_process_tells_before_it_ends_is_heard() -> None:
    heard = Heard()
    receiver, sender = multiprocessing.Pipe(duplex=False)

    with receiver, sender, Listener(receiver, heard, "2 processes") as listener:
        sender.send((1, 2, "loss 0.1"))
        sender.send(DiskFull("No space left.", hint="df -h"))

    assert heard.steps == [(1, 2)]
    assert isinstance(listener.problem, DiskFull)
    assert listener.problem.hint == "df -h"


_RANK = """
import sys
from pathlib import Path
from edgekit.train.fitting.loop import train
from edgekit.train.models.tables.xor import MODEL
from edgekit.train.options import with_overrides
train(MODEL, Path(sys.argv[1]), with_overrides(MODEL.options, {"epochs": "2", "passes": "20", "restarts": "0"}))
"""


def test_torchrun_gives_the_same(tmp_path: Path) -> None:
    train(MODEL, tmp_path / "one", OPTIONS)
    (tmp_path / "rank.py").write_text(_RANK)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29611"]

    done = subprocess.run(
        [*torchrun, str(tmp_path / "rank.py"), str(tmp_path / "two")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr
    assert read_run(tmp_path / "two").finished
    assert same(tmp_path / "one", tmp_path / "two")
