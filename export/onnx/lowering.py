"""Lowering: rewrites models of a newer opset, or with operators that ONNX Runtime lacks, so that it runs them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from edgekit.core.refusals import refuse
from edgekit.core.system.optional import need
from edgekit.export.onnx.nodes import nodes_of

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto, NodeProto, OperatorSetIdProto

# What onnxruntime 1.31.1 reads, by its own messages.
IR_VERSION: Final = 13
OPSET: Final = 26
_STANDARD: Final = ("", "ai.onnx")


def is_newer(model: ModelProto) -> bool:
    """True if ONNX Runtime would refuse the model because of its version alone."""
    return model.ir_version > IR_VERSION or bool(_newer(model))


def lowered(model: ModelProto) -> ModelProto:
    """The model in a version that ONNX Runtime reads; operators that changed since are expanded or converted.

    Raises:
        Refused: An operator that the older version cannot express.
    """
    model.ir_version = min(model.ir_version, IR_VERSION)
    if changed := _changed(model):
        model = written_out(model, changed)
    if changed := _changed(model):
        return _converted(model, changed[0])
    for one in _newer(model):
        one.version = OPSET
    return model


def written_out(model: ModelProto, operators: Collection[str]) -> ModelProto:
    """The model with these operators replaced by their definitions, where they have one that fits."""
    found = [node for node in nodes_of(model.graph) if node.op_type in operators]
    for node in found:
        _spell_defaults(node, next((one.version for one in model.opset_import if one.domain == node.domain), OPSET))
    inliner = need("onnx.inliner", extra="export")
    names = sorted({(node.domain, node.op_type) for node in found})
    try:
        made: ModelProto = inliner.inline_selected_functions(_typed(model), names, inline_schema_functions=True)
    except Exception:  # noqa: BLE001  # the inliner raises whatever it asserts, such as an input of unknown type
        return model
    del made.graph.value_info[:]
    made.graph.value_info.extend(model.graph.value_info)
    return made


def _typed(model: ModelProto) -> ModelProto:
    """A copy with the types of all tensors, weights included: some definitions depend on them."""
    onnx = need("onnx", extra="export")
    typed: ModelProto = onnx.shape_inference.infer_shapes(model)
    known = {value.name for value in (*typed.graph.input, *typed.graph.value_info)}
    typed.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in typed.graph.initializer
        if tensor.name not in known
    )
    return typed


def _spell_defaults(node: NodeProto, version: int) -> None:
    """Give a node the attributes that it leaves to their defaults: the inliner would leave them out."""
    defs = need("onnx", extra="export").defs
    if defs.has(node.op_type, version, node.domain):
        given = {attribute.name for attribute in node.attribute}
        attributes = defs.get_schema(node.op_type, version, node.domain).attributes
        node.attribute.extend(
            one.default_value for name, one in attributes.items() if name not in given and one.default_value.name
        )


def _converted(model: ModelProto, operator: str) -> ModelProto:
    try:
        made: ModelProto = need("onnx.version_converter", extra="export").convert_version(model, OPSET)
    except Exception as err:
        raise refuse("newer-opset", f"Operator '{operator}'") from err
    return made


def _newer(model: ModelProto) -> list[OperatorSetIdProto]:
    return [one for one in _standard(model) if one.version > OPSET]


def _changed(model: ModelProto) -> list[str]:
    """Operators that are not what they were in the version that ONNX Runtime reads."""
    nodes = list(nodes_of(model.graph))
    return [node.op_type for one in _newer(model) for node in nodes if _has_changed(node, one.version)]


def _standard(model: ModelProto) -> list[OperatorSetIdProto]:
    return [one for one in model.opset_import if one.domain in _STANDARD]


def _has_changed(node: NodeProto, version: int) -> bool:
    defs = need("onnx", extra="export").defs
    known = node.domain in _STANDARD and defs.has(node.op_type, version)
    return known and defs.get_schema(node.op_type, version).since_version > OPSET
