"""A streaming net in int8 gives in chunks what it gives in one piece, in both formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.core.recipe import Recipe
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.onnx.exporter import OnnxExporter
from edgekit.export.onnx.quantizer import OnnxQuantizer
from edgekit.export.shapes.streams import begins_with_zeros, in_a_stream
from edgekit.export.tflite.exporter import TfliteExporter
from edgekit.export.tflite.quantizer import TfliteQuantizer
from edgekit.runtime.backend import BACKENDS
from edgekit.runtime.sequences.stream import Stream

LENGTH, STEP = 16, 4
SPEC = ModelSpec(
    "causal",
    "other",
    (TensorSpec("x", "float32", ("N", 2, "T")), TensorSpec("past", "float32", ("N", 8, 2))),
    (TensorSpec("y", "float32", ("N", 4, "T")), TensorSpec("past_next", "float32", ("N", 8, 2))),
    sizes={"N": (1,), "T": (STEP, LENGTH)},
    states={"past_next": "past"},
)


class Causal(nn.Module):
    """Two convolutions; the second looks back over two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 8, 1), nn.Conv1d(8, 4, 3)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        whole = torch.cat([past, torch.relu(self.first(x))], 2)
        return self.second(whole), whole[:, :, -2:]


def samples() -> Samples:
    random = np.random.default_rng(0)
    x = random.normal(size=(16, 2, LENGTH)).astype(np.float32)
    return Samples({"x": x, "past": np.zeros((16, 8, 2), np.float32)})


# torch and its converters warn of themselves.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("exporter", "quantizer", "recipe", "backend"),
    [
        (OnnxExporter, OnnxQuantizer, "onnx-int8-static-u8s8", "onnxruntime"),
        (TfliteExporter, TfliteQuantizer, "tflite-int8-static", "litert"),
    ],
)
def test_int8_in_chunks_is_int8_in_one_piece(
    exporter: type, quantizer: type, recipe: str, backend: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    data, made = samples(), tmp_path / f"float.{recipe.partition('-')[0]}"
    exporter().export(Causal().eval(), SPEC, {name: array[:3] for name, array in data.inputs.items()}, made)
    out = tmp_path / f"int8{made.suffix}"
    quantizer().quantize(made, SPEC, Recipe.parse(recipe), data, out)

    with BACKENDS.get(backend)().open(out, {}, SPEC) as session:
        for x in data.inputs["x"]:
            whole = Stream(session.run, SPEC).feed(x).outputs["y"]
            stream = Stream(session.run, SPEC)
            parts = [stream.feed(x[:, start : start + STEP]).outputs["y"] for start in range(0, LENGTH, STEP)]
            # Not within a step: the states have the same codes in both.
            np.testing.assert_array_equal(np.concatenate(parts, axis=2), whole)
            assert np.abs(whole).max() > 0


def test_calibration_continues_the_states() -> None:
    data = samples()
    feeds = [{name: array[row : row + 1] for name, array in data.inputs.items()} for row in range(3)]

    found = list(in_a_stream(feeds, SPEC, lambda feed: {"past_next": feed["past"] + 1}))

    assert begins_with_zeros(data, SPEC)
    assert [float(one["past"].max()) for one in found] == [0.0, 1.0, 2.0]
