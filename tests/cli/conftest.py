"""Running the command line: in this process where that is the same, as a real process where it is not."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.cli.main import run
from edgekit.core.bundle import SAMPLES, Artifact, Manifest, write_manifest
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_file

NET = """
import torch
from torch import nn

def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; anything else beside it is an error."""
        document: dict[str, Any] = json.loads(self.out)
        return document


Run = Callable[..., Done]


@pytest.fixture
def quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and current folder: no settings of the person who runs the tests."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def edgekit(quiet_home: Path) -> Run:
    """`edgekit(*arguments)` in this process."""

    def call(*arguments: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(list(arguments))
        return Done(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def process(quiet_home: Path) -> Run:
    """`edgekit(*arguments)` as a process of its own."""

    def call(*arguments: str, **options: Any) -> Done:
        command = [sys.executable, "-m", "edgekit", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's net, real samples for it, and a bundle with one artifact."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("made")
    (folder / "net.py").write_text(NET)
    images, labels = load_digits(return_X_y=True)
    few = np.flatnonzero(labels < 3)[:60]
    samples = Samples({"x": (images[few] / 16).astype(np.float32).reshape(-1, 1, 8, 8)}, labels[few])
    np.savez(folder / "samples.npz", x=samples.inputs["x"], label=labels[few])
    write_bundle(folder / "bundle", samples)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    (folder / "edgekit.toml").write_text('[[check.models]]\npath = "bundle"\n')
    (folder / "token").write_text("0123456789abcdef0123")
    (folder / "sweep.toml").write_text('models = ["bundle"]\nlaunches = 5\ntime_limit_s = 0.01\n')
    return folder


def write_bundle(folder: Path, samples: Samples) -> None:
    """A bundle of a linear classifier. Made by hand: an export takes seconds and is tested where it belongs."""
    import onnx
    from onnx import helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "weights"], ["output"])],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    folder.mkdir()
    file = folder / "onnx-fp32.onnx"
    onnx.save(model, file)
    images = samples.inputs["x"].astype(np.float32)
    samples.with_expected({"output": images.reshape(-1, 64) @ weights}).save(folder / SAMPLES)
    inputs, outputs = (TensorSpec("x", "float32", ("N", 1, 8, 8)),), (TensorSpec("output", "float32", ("N", 3)),)
    digest, size = sha256_file(file), file.stat().st_size
    artifact = Artifact("onnx-fp32", file.name, "onnx", "fp32", size, digest, digest, inputs, outputs, opset=18)
    spec = ModelSpec("net", "classification", inputs, outputs, labels=("zero", "one", "two"))
    write_manifest(folder, Manifest(spec, (artifact,), {}, created="2026-01-01T00:00:00+00:00"))


@pytest.fixture
def made(made_once: Path, tmp_path: Path, quiet_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own that holds the same, and is the current one."""
    folder = tmp_path / "made"
    shutil.copytree(made_once, folder)
    monkeypatch.chdir(folder)
    return folder
