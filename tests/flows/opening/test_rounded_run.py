"""A reference model that was trained with the rounding of int8, from the training to its int8 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from torch import nn

import edgekit
from edgekit.core.bundle import Bundle
from edgekit.core.verdict import Verdict
from edgekit.export.messages import ModuleRef
from edgekit.export.torch.module import load_module
from edgekit.flows.bisect import bisect
from edgekit.flows.train import train
from edgekit.flows.validate import validate_quality
from edgekit.train.qat.grid import Saturation


def scales_in(path: Path) -> set[bytes]:
    """The scales of tensors that an ONNX file rounds."""
    graph = onnx.load(str(path)).graph
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    return {arrays[node.input[1]].tobytes() for node in graph.node if node.op_type == "QuantizeLinear"}


@pytest.mark.slow
def test_the_learned_ranges_of_a_run_are_those_of_its_int8_file(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "bundle"
    train("digits", out=run, overrides={"qat": "true", "epochs": "1", "threads": "1"}, init_from="digits")

    again = validate_quality(str(run))
    report = edgekit.export_model(str(run), to="onnx-int8-static", out=out)

    with Bundle.open(out) as bundle:
        (artifact,) = bundle.artifacts
        network = load_module(ModuleRef(bundle.manifest.source["factory"], str(out / "weights.safetensors")))
        assert isinstance(network, nn.Module)
        learned = [one.get_buffer("ends").numpy() for one in network.modules() if isinstance(one, Saturation)]
        found = scales_in(bundle.file(artifact))
    ranges = {((high - low) / np.float32(255)).tobytes() for low, high in learned}
    assert again.verdict is Verdict.PASS
    assert report.verdict is Verdict.PASS
    assert ranges <= found
    # The module that the bundle remembers is the one with the ranges.
    assert {one.module.partition(".")[0] for one in bisect(out, "torch", artifact.recipe).aligned} >= {"ranges"}
