"""Errors of torch become sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec import ModelSpec, TensorSpec
from edgekit.export.messages import ModuleRef
from edgekit.export.onnx.exporter import OnnxExporter
from edgekit.export.torch.module import load_module
from edgekit.export.torch.untraceable import first_line, untraceable

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
