"""A repository with a model gets a gate with two commands; the first real regression turns it red."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.cli.conftest import write_bundle
from tests.flows.judging.test_baseline_figures import as_trained_now
from tests.flows.planting import damaged, onnx_weight

from edgekit.core.samples import Samples

pytestmark = pytest.mark.slow

WIDTH = 1024
# The slower model takes several times as long; equal ones are not measured until a difference of 3 % is excluded.
SHORT = ("--launches", "8", "--time-limit", "50ms", "--time-box", "5min", "--minimum-effect", "50%")


def environment(**more: str) -> dict[str, str]:
    """The caller's, with this interpreter's programs first, outside of any CI."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "CI_"))}
    return {**inherited, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **more}


def run(folder: Path, *command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(**more),
        timeout=600,
    )


def products(path: Path, count: int, *, unused: int = 0) -> None:
    """A net of `count` products with one matrix of 4 MB, and `unused` numbers that no operator reads."""
    names = ["x", *(f"h{number}" for number in range(count - 1)), "y"]
    nodes = [helper.make_node("MatMul", [one, "w"], [other]) for one, other in pairwise(names)]
    matrix = np.random.default_rng(0).normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32)
    weights = [numpy_helper.from_array(matrix, "w"), numpy_helper.from_array(np.ones(unused, np.float32), "unused")]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", WIDTH]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "net", tensors[:1], tensors[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def repository_of(folder: Path) -> Path:
    folder.mkdir()
    assert run(folder, "git", "init", "--quiet").returncode == 0
    return folder


@pytest.mark.timeout(1500)
def test_two_commands_make_a_gate_that_a_slower_and_a_larger_model_turn_red(repository: Path, tmp_path: Path) -> None:
    script = repository / "examples" / "gate" / "gate.sh"
    mine = repository_of(tmp_path / "mine")
    products(mine / "net.onnx", 8)

    green = run(mine, "bash", script, "github", *SHORT)
    status = run(mine, "git", "status", "--short", "--untracked-files=all").stdout
    products(mine / "net.onnx", 48)
    slower = run(mine, "edgekit", "check", *SHORT, GITHUB_ACTIONS="true")
    products(mine / "net.onnx", 8, unused=1 << 20)
    larger = run(mine, "edgekit", "check", *SHORT, GITHUB_ACTIONS="true")

    assert len(re.findall(r"^edgekit ", script.read_text(encoding="utf-8"), re.MULTILINE)) <= 3
    assert green.returncode == 0, green.stdout + green.stderr
    assert "VERDICT: pass" in green.stdout
    assert "edgekit-baseline/net.onnx" in status
    place = line_with(mine / "edgekit.toml", "baseline = ")
    assert slower.returncode == 1, slower.stdout
    error = rf"^::error file=edgekit\.toml,line={place},title=.*::not slower than edgekit-baseline/net\.onnx: \+"
    (told,) = (line for line in slower.stdout.splitlines() if re.match(error, line))
    assert re.search(r"[\d.]+ [mµ]s before, [\d.]+ ms now on local \(\+[\d.]+ ms \[", told)
    assert larger.returncode == 1
    assert f"::error file=edgekit.toml,line={place},title=edgekit%3A net/net@local::not larger than" in larger.stdout
    assert "(+4.19 MB)" in larger.stdout


@pytest.mark.timeout(1200)
def test_a_less_accurate_bundle_turns_the_gate_red(repository: Path, tmp_path: Path) -> None:
    mine = repository_of(tmp_path / "mine")
    images = np.random.default_rng(0).normal(size=(400, 1, 8, 8)).astype(np.float32)
    weights = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    write_bundle(mine / "net", Samples({"x": images}, (images.reshape(-1, 64) @ weights).argmax(1)))

    green = run(mine, "bash", repository / "examples" / "gate" / "gate.sh", "gitlab", *SHORT)
    (mine / "net").rename(tmp_path / "good")
    blur = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
    damaged(tmp_path / "good", mine / "net", "onnx-fp32", onnx_weight("weights", lambda old: old + blur))
    as_trained_now(mine / "net")
    red = run(mine, "edgekit", "check", *SHORT, "--report", "check.json")

    assert green.returncode == 0, green.stdout + green.stderr
    assert red.returncode == 1
    found = msgspec.json.decode((mine / "check.json").read_bytes())["results"]
    (failed,) = (one for one in found if one["verdict"] == "fail")
    assert (failed["metric"], failed["line"]) == ("accuracy", line_with(mine / "edgekit.toml", "baseline = "))
    assert re.search(r"100\.00 % before, \d\d\.\d\d % now on local \(-\d+\.\d\d pt \[", failed["message"])


def line_with(path: Path, start: str) -> int:
    return next(
        number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if line.startswith(start)
    )
