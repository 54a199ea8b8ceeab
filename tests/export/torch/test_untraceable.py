"""Errors of torch become sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.messages import ModuleRef
from edgekit.export.onnx.exporter import OnnxExporter
from edgekit.export.torch.module import load_module
from edgekit.export.torch.untraceable import first_line, unsupported_in_tflite, untraceable

NETS = Path(__file__).parents[1] / "nets"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own deprecations
def test_control_flow_that_depends_on_data_is_refused_with_its_line(tmp_path: Path) -> None:
    spec = ModelSpec("net", "other", (TensorSpec.parse("x:float32[N,4]"),), (TensorSpec.parse("output:float32[N,2]"),))
    feed: Feed = {"x": np.ones((2, 4), np.float32)}
    line = (NETS / "faulty.py").read_text().splitlines().index("        if y.sum() > 0:") + 1

    with pytest.raises(UserError, match=rf"faulty.py:{line} `if y.sum\(\) > 0:`") as caught:
        OnnxExporter().export(load_module(ModuleRef(f"{NETS / 'faulty.py'}:Branching")), spec, feed, tmp_path / "x")

    assert caught.value.hint == "Compute both branches and choose with torch.where."
    assert not (tmp_path / "x").exists()


def test_other_errors_are_not_blamed_on_control_flow() -> None:
    assert untraceable(RuntimeError("operator not found")) is None


def test_the_innermost_error_is_the_one_that_counts() -> None:
    outer = RuntimeError("step 2 of 3\npages of advice")
    outer.__cause__ = ValueError("no kernel for 'Frobnicate'\nand more")

    assert first_line(outer) == "ValueError: no kernel for 'Frobnicate'"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("torch.complex64", "computes with complex numbers"),
        ("Unsupported ir element type: complex<f32>", "computes with complex numbers"),
        (
            "zeros(): argument 'size' failed to unpack the object at pos 2",
            "packs sequences by their lengths",
        ),
        ("Lowering not found: aten._fft_r2c.default. \n[START] Convert", "uses 'aten._fft_r2c', which"),
    ],
)
def test_what_tflite_lacks_is_named_with_what_to_do_instead(text: str, reason: str) -> None:
    found = unsupported_in_tflite(RuntimeError(text))

    assert found is not None
    assert reason in found.message
    assert found.hint
    assert unsupported_in_tflite(RuntimeError("no kernel")) is None
