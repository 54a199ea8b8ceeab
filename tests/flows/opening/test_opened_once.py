"""A command opens each bundle once, and hashes each of its files once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import write_bundle
from tests.flows.scripted import Scripted

from edgekit.core import bundle as bundles
from edgekit.core.job import Job, JobResult
from edgekit.core.samples import Samples
from edgekit.core.system.files import sha256_file
from edgekit.flows.check import check_order
from edgekit.flows.compare import compare
from edgekit.flows.opening import devices
from edgekit.flows.order import door
from edgekit.flows.profile import profile
from edgekit.flows.run import run
from edgekit.flows.validate import validate

check = door(check_order)
CHECK = """
[check]
target = ["fake"]
launches = 5
budgets = ["latency.p50 <= 0.1 ms", "accuracy >= 0 %"]
[[check.models]]
path = "bundle"
baseline = "before"
"""


class Answering(Scripted):
    """A scripted device that also writes the right answers of the bundle's linear classifier."""

    def measure(self, job: Job) -> JobResult:
        if job.outputs:
            weights = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
            with np.load(job.feeds) as feeds:
                answers = {key.replace(":x", ":output"): feeds[key].reshape(-1, 64) @ weights for key in feeds.files}
            np.savez(job.outputs, **answers)
        return super().measure(job)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How many times each file was hashed while a bundle was opened."""
    counts: Counter[Path] = Counter()
    real = sha256_file

    def counted(path: Path) -> str:
        counts[path] += 1
        return real(path)

    monkeypatch.setattr(bundles, "sha256_file", counted)
    return counts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two bundles, `bundle` and `before`, on a device whose launches take 1 ms."""
    monkeypatch.setattr(devices, "open_device", lambda name: Answering(lambda number, job: 1e-3, values=40))
    images = np.random.default_rng(0).normal(size=(40, 1, 8, 8)).astype(np.float32)
    for name in ("bundle", "before"):
        write_bundle(tmp_path / name, Samples({"x": images}, np.arange(40) % 3))
    (tmp_path / "edgekit.toml").write_text(CHECK)
    return tmp_path


COMMANDS: dict[str, Callable[[Path], object]] = {
    "profile": lambda folder: profile(folder / "bundle", launches=1),
    "run": lambda folder: run(folder / "bundle", input=["sample:0"]),
    "validate": lambda folder: validate(folder / "bundle"),
    "compare": lambda folder: compare(folder / "bundle", folder / "bundle"),
    "compare with another": lambda folder: compare(folder / "bundle", folder / "before"),
    # A budget on accuracy, one that is missed and confirmed, and a baseline: each opened the bundle once more before.
    "check": lambda folder: check(folder / "edgekit.toml"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_file_of_a_bundle_is_hashed_once(command: str, folder: Path, hashed: Counter[Path]) -> None:
    hashed.clear()

    COMMANDS[command](folder)

    assert set(hashed.values()) == {1}
    assert {path.parent.name for path in hashed} <= {"bundle", "before"}
