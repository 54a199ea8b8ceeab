"""ONNX files with float16 weights and compute, float32 inputs and outputs, by onnxruntime. Runs in the worker."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgekit.core.system.optional import need
from edgekit.export.graphs.front_end import front_end_of_onnx

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, ModelProto, NodeProto

# Operators that stay float32 in float16 files. The CPU has no float16 kernels for recurrent layers; and where
# onnxruntime 1.31 moves a float16 Transpose through a cast, it crashes while it opens the file.
FLOAT32_OPERATORS: Final = ("LSTM", "GRU", "RNN", "Transpose")


def write_float16(source: Path, out: Path) -> dict[str, str | int | float | bool]:
    """Write `source` in float16 to `out`, its front end in float32; returns the options used."""
    onnx = need("onnx", extra="export")
    model = onnx.load(str(source))
    front = front_end_of_onnx(model)
    made = _with_front(model, front) if front else _converted(model)
    onnx.save(made, str(out))
    return {"keep_io_types": True, "float_operators": ",".join(FLOAT32_OPERATORS), "float_nodes": ",".join(front)}


def _converted(model: ModelProto) -> ModelProto:
    converter = need("onnxruntime.transformers.float16", extra="cpu")
    blocked = [*converter.DEFAULT_OP_BLOCK_LIST, *FLOAT32_OPERATORS]
    _part_repeated_inputs(model, blocked)
    made: ModelProto = converter.convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked)
    # The casts of inputs come last, which the format does not allow.
    need("onnxruntime.transformers.onnx_model", extra="cpu").OnnxModel(made).topological_sort()
    return made


def _with_front(model: ModelProto, front: Collection[str]) -> ModelProto:
    """The rest of the model in float16, behind its front end as it was; the converter cannot keep single nodes."""
    kept = [node for node in model.graph.node if set(node.output) & set(front)]
    rest = [node for node in model.graph.node if not set(node.output) & set(front)]
    edge = [name for name in front if any(name in node.input for node in rest)]
    inner = need("onnx", extra="export").ModelProto()
    inner.CopyFrom(model)
    del inner.graph.node[:], inner.graph.input[:]
    inner.graph.node.extend(rest)
    shapes = {value.name: value for value in (*model.graph.value_info, *model.graph.input)}
    used = {name for node in rest for name in node.input}
    inner.graph.input.extend(shapes[name] for name in (*edge, *(v.name for v in model.graph.input if v.name in used)))
    _drop_unused(inner.graph)
    made = _converted(inner)
    _put_before(made.graph, kept, model.graph)
    del made.graph.input[:]
    made.graph.input.extend(model.graph.input)
    return made


def _put_before(graph: GraphProto, nodes: list[NodeProto], source: GraphProto) -> None:
    """Put nodes of another graph first, with copies of their weights: the graph may hold the same ones in float16."""
    weights = {tensor.name: tensor for tensor in source.initializer}
    for node in nodes:
        for place, name in enumerate(node.input):
            if name in weights:
                node.input[place] = f"front.{name}"
    for name in dict.fromkeys(one for node in nodes for one in node.input if one.startswith("front.")):
        graph.initializer.add().CopyFrom(weights[name.removeprefix("front.")])
        graph.initializer[-1].name = name
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def _drop_unused(graph: GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _part_repeated_inputs(model: ModelProto, operators: Collection[str]) -> None:
    """Give nodes of these operators that read one tensor twice a copy: the converter would write its cast twice."""
    helper = need("onnx.helper", extra="export")
    for node in [node for node in model.graph.node if node.op_type in operators]:
        for place, name in enumerate(node.input):
            if name and name in node.input[:place]:
                copy = f"{name}_{node.name}_{place}"
                model.graph.node.append(helper.make_node("Identity", [name], [copy]))
                node.input[place] = copy
