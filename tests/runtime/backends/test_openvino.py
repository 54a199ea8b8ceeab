"""A second provider and a second engine for .onnx, for real: OpenVINO, in an environment of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.standins.cache import required
from tests.standins.openvino import openvino_folder, python

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[1] / "data"
ON_OPENVINO = "local@provider=openvino"


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where OpenVINO is installed."""
    with required():
        return openvino_folder()


def edgekit(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of one command in the environment of OpenVINO."""
    done = python(folder, ["-m", "edgekit", *arguments, "--json"])
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def trees(path: Path) -> Path:
    """A model that OpenVINO does not know one operator of: a regression tree with a single split."""
    import onnx
    from onnx import TensorProto, helper

    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[1.0, 2.0],
    )
    graph = helper.make_graph(
        [node],
        "tree",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def crippled(folder: Path, target: Path) -> Path:
    """The same environment without the library that the provider is."""
    capi = target / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    for entry in (folder / "onnxruntime").iterdir():
        if entry.name != "capi":
            (capi.parent / entry.name).symlink_to(entry)
    for entry in (folder / "onnxruntime" / "capi").iterdir():
        if not entry.name.startswith("libopenvino.so"):
            (capi / entry.name).symlink_to(entry)
    return target


def test_the_backend_keeps_every_promise_of_backends(folder: Path) -> None:
    files = ["tests/conformance/test_backends.py", "tests/conformance/test_threads.py"]
    done = python(folder, ["-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", "openvino"])

    assert done.returncode == 0, done.stdout[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 25


@pytest.mark.parametrize(("target", "provider"), [(ON_OPENVINO, "openvino"), ("local/openvino", "cpu")])
def test_it_runs_a_model_and_says_so(folder: Path, tmp_path: Path, target: str, provider: str) -> None:
    np.save(tmp_path / "x.npy", np.array([1.0, 2.0, 4.0], np.float32))

    code, document = edgekit(
        folder, "run", str(DATA / "linear.onnx"), "--input", str(tmp_path / "x.npy"), "--target", target
    )

    assert code == 0
    assert document["provider"] == provider
    np.testing.assert_allclose(document["answers"][0]["outputs"]["y"], [[-0.5, -4.25]])


def test_a_profile_names_the_provider(folder: Path) -> None:
    targets = f"local,{ON_OPENVINO}"
    short = ("--launches", "1", "--time-limit", "1ms")

    code, report = edgekit(folder, "profile", str(DATA / "linear.onnx"), "--target", targets, *short)

    assert code == 0
    assert {one["target"]: one["provider"] for one in report["latency"]} == {"local": "cpu", ON_OPENVINO: "openvino"}


def test_first_check_a_provider_that_the_build_lacks(folder: Path) -> None:
    code, document = edgekit(
        folder, "run", str(DATA / "linear.onnx"), "--input", "sample:0", "--target", "local@provider=cuda"
    )

    assert code == 3
    assert (
        "The installed onnxruntime 1.24.1 does not support provider 'cuda', only cpu, openvino."
        in document["error"]["message"]
    )


def test_second_check_a_provider_that_does_not_start_and_why(folder: Path, tmp_path: Path) -> None:
    code, document = edgekit(
        crippled(folder, tmp_path / "crippled"),
        "run",
        str(DATA / "linear.onnx"),
        "--input",
        "sample:0",
        "--target",
        ON_OPENVINO,
    )

    assert code == 3
    assert "Provider 'openvino' did not run the model" in document["error"]["message"]
    assert "libopenvino.so" in document["error"]["message"]


def test_third_check_a_provider_that_leaves_all_nodes_to_the_cpu(folder: Path, tmp_path: Path) -> None:
    model = trees(tmp_path / "tree.onnx")

    code, document = edgekit(folder, "run", str(model), "--input", "sample:0", "--target", ON_OPENVINO)

    assert code == 3
    assert "openvino ran 0 of 1 nodes" in document["error"]["message"]
