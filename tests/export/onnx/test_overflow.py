"""Float16 files from elsewhere whose values float16 does not hold: the CPU computes them in float32 and hides it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.samples import Feed
from edgekit.core.verdict import Verdict
from edgekit.export.onnx.half_range import overflowing
from edgekit.flows.export import export
from edgekit.flows.opening.source import SourceOptions

HALF = TensorProto.FLOAT16


def half_file(path: Path, nodes: list[Any], shape: list[Any], weights: dict[str, Any] | None = None) -> Path:
    """A float16 file: x of this shape -> y."""
    borders = [helper.make_tensor_value_info(name, HALF, axes) for name, axes in (("x", shape), ("y", None))]
    given = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "net", borders[:1], borders[1:], given)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(onnx.shape_inference.infer_shapes(made), str(path))
    return path


def normalization(path: Path) -> Path:
    """x (N, 64) -> y (N, 64), divided by the root of its mean square."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("ReduceMean", ["square", "axes"], ["mean"]),
        helper.make_node("Sqrt", ["mean"], ["root"]),
        helper.make_node("Div", ["x", "root"], ["y"]),
    ]
    return half_file(path, nodes, ["N", 64], {"axes": np.array([-1])})


def feed(scale: float, *shape: int) -> Feed:
    return {"x": np.full(shape, scale, np.float16)}


def node(kind: str, *inputs: str, **options: Any) -> list[Any]:
    return [helper.make_node(kind, ["x", *inputs], ["y"], **options)]


def test_squares_that_overflow_are_named(tmp_path: Path) -> None:
    net = normalization(tmp_path / "net.onnx")

    assert overflowing(net, [feed(10, 2, 64)]) == {}
    # Squares of 300 overflow; squares of 200 are held, and 64 of them are not.
    assert overflowing(net, [feed(300, 2, 64)]) == {"square": "Mul, 9.0e+04"}
    assert overflowing(net, [feed(10, 2, 64), feed(200, 2, 64)]) == {"mean": "ReduceMean, 2.6e+06 inside"}


@pytest.mark.parametrize(
    ("nodes", "scale", "found"),
    [
        (node("Exp"), 12.0, "Exp, 1.6e+05"),
        (node("Exp"), 10.0, ""),
        (node("Softmax"), 1000.0, ""),
        (node("GlobalAveragePool"), 50.0, "GlobalAveragePool, 7.2e+05 inside"),
        (node("Log"), 0.0, ""),  # not finite in float32 either
        (node("MatMul", "w"), 300.0, "MatMul, 3.6e+05"),
    ],
    ids=lambda value: value[0].op_type if isinstance(value, list) else str(value),
)
def test_what_overflows_in_float16_alone(nodes: list[Any], scale: float, found: str, tmp_path: Path) -> None:
    net = half_file(tmp_path / "net.onnx", nodes, [1, 2, 120, 120], {"w": np.full((120, 2), 10, np.float16)})

    assert overflowing(net, [feed(scale, 1, 2, 120, 120)]) == ({"y": found} if found else {})


def test_a_float32_file_is_not_run(tmp_path: Path) -> None:
    net = helper.make_graph(
        node("Relu"), "net", *([helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])] for name in ("x", "y"))
    )
    onnx.save(helper.make_model(net), str(tmp_path / "net.onnx"))

    assert overflowing(tmp_path / "net.onnx", [feed(1, 4)]) == {}


@pytest.mark.slow
def test_a_float16_source_that_overflows_off_the_cpu_fails(tmp_path: Path) -> None:
    net = normalization(tmp_path / "net.onnx")
    drawn = np.random.default_rng(0).normal(size=(24, 64))
    for name, scale in (("small", 10.0), ("large", 300.0)):
        np.savez(tmp_path / f"{name}.npz", x=(drawn * scale).astype(np.float16))

    held, lost = (
        export(str(net), to="onnx-fp32", out=tmp_path / name, options=SourceOptions(samples=tmp_path / f"{name}.npz"))
        for name in ("small", "large")
    )

    assert held.verdict is Verdict.PASS
    assert lost.verdict is Verdict.FAIL
    (check,) = [check for check in lost.parity if check.verdict is Verdict.FAIL]
    assert (check.kind, check.output) == ("overflow", "square")
    assert "'square' (Mul," in check.reason
