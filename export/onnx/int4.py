"""ONNX files with 4-bit weights, by onnxruntime's MatMulNBits. Runs in the worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.recipe import Recipe
from edgekit.core.refusals import refuse
from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, ModelProto, NodeProto, TensorProto

BLOCK: Final = 32
_KIND: Final = "MatMulNBits"


def quantize_weights(source: Path, recipe: Recipe, out: Path) -> dict[str, str | int | float | bool]:
    """Write `source` with the constant weights of its matrix products in 4 bits, with a scale for each block of 32.

    Raises:
        Refused: There is no such weight.
    """
    onnx = need("onnx", extra="export")
    model = onnx.load(str(source))
    _split_gemms(model)
    # The quantizer logs the start and end of every node.
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.ERROR)
    tool = need("onnxruntime.quantization.matmul_nbits_quantizer", extra="cpu")
    quantizer = tool.MatMulNBitsQuantizer(model, bits=4, block_size=BLOCK, is_symmetric=True)
    quantizer.process()
    made = quantizer.model.model
    count = sum(node.op_type == _KIND for node in made.graph.node)
    if not count:
        raise refuse("nothing-for-int4", f"Recipe '{recipe.name}'")
    onnx.save(made, str(out))
    return {"weights": "int4", "block_size": BLOCK, "symmetric": True, "quantized_nodes": count}


def _split_gemms(model: ModelProto) -> None:
    """Gemm with a constant weight becomes MatMul and Add: the quantizer knows MatMul alone."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [part for node in model.graph.node for part in _parts(node, constants, model.graph)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _parts(node: NodeProto, constants: dict[str, TensorProto], graph: GraphProto) -> Iterator[NodeProto]:
    onnx = need("onnx", extra="export")
    options = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    plain = options.get("alpha", 1.0) == 1.0 and options.get("beta", 1.0) == 1.0 and not options.get("transA", 0)
    if node.op_type != "Gemm" or not plain or node.input[1] not in constants:
        yield node
        return
    weight = onnx.numpy_helper.to_array(constants[node.input[1]])
    name = f"{node.output[0]}_weight"
    turned = weight.T if options.get("transB", 0) else weight
    graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(turned), name))
    has_bias = len(node.input) > 2 and bool(node.input[2])
    product = f"{node.output[0]}_product" if has_bias else node.output[0]
    yield onnx.helper.make_node("MatMul", [node.input[0], name], [product], name=f"{node.name}_product")
    if has_bias:
        yield onnx.helper.make_node("Add", [product, node.input[2]], [node.output[0]], name=node.name)
