"""Scales that a network has learned are those of both int8 files, to the bit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import numpy_helper
from torch import nn

from edgekit.core.verdict import Verdict
from edgekit.export.graphs.learned_ranges import is_learned
from edgekit.export.torch.module import load_factory
from edgekit.train.qat.grid import LearnedRange, SteppedLayer

from .conftest import NETS, Convert, request_of

# The only tensor that one format alone has: TFLite takes a mean as a sum, times a constant.
OWN = "SUM"
RECIPES = "onnx-int8-static-s8s8,onnx-int8-static-u8s8,tflite-int8-static"


def in_onnx(path: Path) -> list[np.ndarray]:
    """The scales of every tensor of 8 bits, one per tensor or one per channel."""
    graph = onnx.load(str(path)).graph
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    borders = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    return [arrays[node.input[1]] for node in borders if arrays.get(node.input[0], np.int8(0)).itemsize == 1]


def in_tflite(path: Path) -> list[np.ndarray]:
    model = Interpreter(str(path))
    own = {index for one in model._get_ops_details() if one["op_name"] == OWN for index in one["outputs"]}
    tensors = [one for one in model.get_tensor_details() if one["dtype"] == np.int8 and one["index"] not in own]
    # A constant without axes is the factor of the mean.
    return [one["quantization_parameters"]["scales"] for one in tensors if len(one["shape"])]


def bits(found: Iterable[np.ndarray]) -> set[bytes]:
    return {np.asarray(one, np.float32).tobytes() for one in found}


@pytest.mark.slow
def test_learned_scales_are_equal_to_the_bit(convert: Convert, tmp_path: Path) -> None:
    learned = load_factory(f"{NETS / 'learned.py'}:prepared")()
    assert isinstance(learned, nn.Module)
    ranges = [one.scale().detach().numpy() for one in learned.modules() if isinstance(one, LearnedRange)]
    layers = [one.settled().weight for one in learned.modules() if isinstance(one, SteppedLayer)]
    weights = [one.detach().flatten(1).abs().amax(1).numpy() / np.float32(127) for one in layers]

    made = convert(request_of("net", "image:float32[1,1,12,12]", RECIPES, file="learned.py"))

    files = {one.recipe: tmp_path / "out" / one.file for one in made.artifacts}
    found = {name: bits((in_onnx if name.startswith("onnx") else in_tflite)(file)) for name, file in files.items()}
    assert all(one == bits((*ranges, *weights)) for one in found.values()), found
    assert made.parity
    assert all(one.verdict == Verdict.PASS for one in made.parity)


@pytest.mark.parametrize("ends", [(0.0, 6.0), (-1.0, 1.0), (0.0, 1.0), (-0.5, 0.5), (0.1, 255.1), (0.0, float("inf"))])
def test_limits_of_a_users_own_are_left_alone(ends: tuple[float, float]) -> None:
    assert not is_learned(*ends)


def test_ends_on_steps_of_16_bits_are_learned() -> None:
    step = 40_001 * 2.0**-20

    assert is_learned(0.0, 255 * step)
    assert is_learned(-100 * step, 155 * step)
    assert not is_learned(-100.5 * step, 154.5 * step)
