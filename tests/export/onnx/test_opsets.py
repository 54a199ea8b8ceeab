"""Files open in older engines, and models are converted from old opsets and to them with the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgekit.core.errors import UserError
from edgekit.export.onnx.opsets import at_opset, oldest, opset_of

from .graphs import answer, model

RNG = np.random.default_rng(0)


def layered(opset: int, **how: Any) -> Any:
    """A normalization, which opset 17 introduced, and a mean, whose axes became an input in opset 18."""
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale"], ["n"], "n"),
        helper.make_node("ReduceMean", ["n", "axes"], ["y"], "y", keepdims=1),
    ]
    weights = {"scale": RNG.normal(size=8).astype("f4"), "axes": np.array([1])}
    return model(nodes, {"x": ["N", 8]}, {"y": ["N", 1]}, weights, opset=opset, **how)


def test_a_file_has_the_oldest_ir_of_its_opset_and_the_domains_it_uses() -> None:
    made = layered(18, ir=13)
    made.opset_import.extend([helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("com.microsoft", 1)])

    older = oldest(made)

    assert older.ir_version == 8
    assert [(one.domain, one.version) for one in older.opset_import] == [("", 18)]


@pytest.mark.parametrize(("kind", "version"), [(TensorProto.FLOAT8E4M3FN, 9), (TensorProto.INT4, 10)])
def test_types_need_the_ir_that_introduced_them(kind: int, version: int) -> None:
    made = layered(18)
    made.graph.initializer.append(helper.make_tensor("unread", kind, [2], [0, 1]))

    assert oldest(made).ir_version == version


def test_a_domain_of_a_branch_is_used() -> None:
    made = layered(18)
    inner = helper.make_graph([helper.make_node("Gelu", ["x"], ["g"], domain="com.microsoft")], "then", [], [])
    made.graph.node.append(helper.make_node("If", ["yes"], ["g2"], then_branch=inner, else_branch=inner))
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))

    assert {one.domain for one in oldest(made).opset_import} == {"", "com.microsoft"}


@pytest.mark.parametrize("opset", [13, 15, 17, 20])
def test_a_model_in_another_opset_gives_the_same_values(opset: int) -> None:
    feed = {"x": RNG.normal(size=(3, 8)).astype("f4")}
    source = layered(18)
    expected = answer(source, feed)

    made = at_opset(source, opset)

    assert opset_of(made) == opset
    np.testing.assert_allclose(answer(made, feed), expected, atol=1e-6)


@pytest.mark.parametrize("opset", [7, 9, 10])
def test_old_ways_to_resize_become_resize(opset: int) -> None:
    scales = np.array([1, 1, 2, 2], "f4")
    if opset == 7:
        node, weights = helper.make_node("Upsample", ["x"], ["y"], mode="nearest", scales=scales), {}
    else:
        name = "Upsample" if opset == 9 else "Resize"
        node, weights = helper.make_node(name, ["x", "s"], ["y"], mode="linear"), {"s": scales}
    made = model([node], {"x": [1, 2, 3, 4]}, {"y": [1, 2, 6, 8]}, weights, opset=opset, ir=4)
    feed = {"x": RNG.normal(size=(1, 2, 3, 4)).astype("f4")}
    expected = answer(made, feed)

    raised = at_opset(made, 13)

    assert [one.op_type for one in raised.graph.node] == ["Resize"]
    np.testing.assert_allclose(answer(raised, feed), expected, atol=1e-6)


def test_an_operator_that_an_opset_lacks_is_an_error_of_the_user() -> None:
    nodes = [helper.make_node("GridSample", ["x", "g"], ["y"], "y")]
    made = model(nodes, {"x": [1, 1, 4, 4], "g": [1, 4, 4, 2]}, {"y": [1, 1, 4, 4]}, {})

    with pytest.raises(UserError, match="cannot be expressed in opset 12"):
        at_opset(made, 12)
