"""What `edgekit.load` brings into a process: the engine, and little beside it. `make bench` measures the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "runtime" / "data"
LOAD = """
import sys, edgekit
with edgekit.load(sys.argv[1]) as session:
    pass
print(" ".join(sys.modules))
"""
# OpenSSL, what reads all installed packages, networks, tables, transports and reports.
ABSENT = {"_hashlib", "importlib.metadata", "email", "urllib.request", "ssl", "rich", "click", "psutil", "zipfile"} | {
    f"edgekit.{name}" for name in ("devices", "core.report", "core.tuning", "core.statistics", "runtime.facts", "cli")
}


@pytest.mark.parametrize("model", ["linear.onnx", "linear.fake.json"])
def test_loading_a_model_imports_nothing_that_only_other_work_needs(model: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOAD, str(DATA / model)], capture_output=True, text=True, check=True
    ).stdout.split()

    engines = {"onnxruntime", "numpy"}
    theirs = {name for name in found if name.partition(".")[0] in engines}
    assert ABSENT & (set(found) - theirs) <= brought_by_engines()


def brought_by_engines() -> set[str]:
    """What the engine imports itself is not edgekit's to avoid."""
    bare = [sys.executable, "-c", "import sys, numpy, numpy.random, onnxruntime; print(' '.join(sys.modules))"]
    return set(subprocess.run(bare, capture_output=True, text=True, check=True).stdout.split())
