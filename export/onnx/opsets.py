"""Opsets: models in another one that ONNX Runtime reads, and in the oldest form of the file that theirs needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.errors import MissingExtra, UserError
from edgekit.core.refusals import refuse
from edgekit.core.system.optional import need
from edgekit.export.onnx.nodes import nodes_of

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, ModelProto, NodeProto, OperatorSetIdProto

STANDARD: Final = ("", "ai.onnx")
# What onnxruntime 1.31.1 reads, by its own messages.
NEWEST_IR: Final = 13
NEWEST: Final = 26
# The first opset that it implements in full.
OLDEST: Final = 7
# QuantizeLinear and DequantizeLinear of one scale per channel.
PER_CHANNEL: Final = 13
# The first IR whose weights need not be inputs as well, and that of functions inside a file.
_SEPARATE_WEIGHTS: Final = 4
_FUNCTIONS: Final = 8
# The first IR of each element type above bfloat16.
_TYPES: Final = {"FLOAT8": 9, "UINT4": 10, "INT4": 10, "FLOAT4": 11, "FLOAT8E8M0": 12, "INT2": 13, "UINT2": 13}
_FIRST_RESIZE: Final = 10
# Domains of nodes that the converter is to leave alone.
_ASIDE: Final = "edgekit.aside"
_RESIZES: Final = "edgekit.resizes"
_UNKNOWN: Final = re.compile(r"No Adapter From Version \$\d+ for (\w+)")


def opset_of(model: ModelProto) -> int:
    """The version of the standard operators that the model is written in."""
    return max((one.version for one in model.opset_import if one.domain in STANDARD), default=1)


def oldest(model: ModelProto) -> ModelProto:
    """The model with the domains that its nodes use, and the oldest IR that can express it.

    Older versions of ONNX Runtime open such files.
    """
    functions = model.functions
    nodes = [*nodes_of(model.graph), *(node for function in functions for node in function.node)]
    used = {_domain(node.domain) for node in nodes} | {""}
    known = [one for one in model.opset_import if _domain(one.domain) in used]
    helper = need("onnx.helper", extra="export")
    version = helper.find_min_ir_version_for(known, ignore_unknown=True)
    del model.opset_import[:]
    model.opset_import.extend(known)
    model.ir_version = max(_SEPARATE_WEIGHTS, version, _FUNCTIONS if functions else 0, *_ir_of_types(model))
    return model


def at_opset(model: ModelProto, version: int) -> ModelProto:
    """The model in this version of the standard operators.

    Raises:
        UserError: An operator cannot be expressed in it.
    """
    own = opset_of(model)
    if own == version:
        return model
    if newer := {node.op_type for node in nodes_of(model.graph) if _is_unknown(node, version)}:
        model = written_out(model, newer)
    _put_resizes_aside(model)
    if own < OLDEST <= version:
        _align_slopes(model)
    checker = need("onnx.checker", extra="export")
    try:
        made = _converted(model, version)
        checker.check_model(made)
    except MissingExtra:
        raise
    except Exception as err:  # the converter and the checker raise whatever their assertions say
        raise UserError(
            f"This model of opset {own} cannot be expressed in opset {version}: {_reason(err)}.",
            hint=f"--opset {own}" if own > version else "",
        ) from err
    return made


def _converted(model: ModelProto, version: int) -> ModelProto:
    """The model in another version; operators that the converter does not know are left as they are.

    Most of them accept more types since, and nothing else; the checker finds those that do not fit.
    """
    aside: set[str] = set()
    while True:
        try:
            made: ModelProto = need("onnx.version_converter", extra="export").convert_version(model, version)
        except Exception as err:
            unknown = _UNKNOWN.search(str(err))
            if unknown is None or unknown[1] in aside:
                raise
            aside.add(unknown[1])
            _put_aside([one for one in nodes_of(model.graph) if one.op_type == unknown[1]], model, _ASIDE)
        else:
            _put_back(made)
            _drop_defaults(made)
            return made


def _drop_defaults(model: ModelProto) -> None:
    """Drop attributes that the converter leaves although the older operator lacks them, and that say nothing."""
    onnx = need("onnx", extra="export")
    version = opset_of(model)
    for node in nodes_of(model.graph):
        if node.domain not in STANDARD or not onnx.defs.has(node.op_type, version):
            continue
        known = onnx.defs.get_schema(node.op_type, version).attributes
        newest = onnx.defs.get_schema(node.op_type).attributes
        for place in reversed(range(len(node.attribute))):
            one = node.attribute[place]
            if one.name not in known and one.name in newest and newest[one.name].default_value == one:
                del node.attribute[place]


def _reason(err: Exception) -> str:
    return str(err).strip().splitlines()[-1].rpartition("failed: ")[2].rstrip(".") or type(err).__name__


def _domain(name: str) -> str:
    return "" if name in STANDARD else name


def _is_unknown(node: NodeProto, opset: int) -> bool:
    """True for a standard operator that came later than this opset."""
    defs = need("onnx", extra="export").defs
    return node.domain in STANDARD and not defs.has(node.op_type, opset) and defs.has(node.op_type)


def _ir_of_types(model: ModelProto) -> Iterator[int]:
    """The IR that the types of weights, inputs and outputs need."""
    types = need("onnx", extra="export").TensorProto.DataType
    graph = model.graph
    kinds = {tensor.data_type for tensor in graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output, *graph.value_info)}
    names = [types.Name(kind) for kind in kinds]
    yield 0
    yield from (version for name in names for start, version in _TYPES.items() if name.startswith(start))


def _put_aside(nodes: Sequence[NodeProto], model: ModelProto, domain: str) -> None:
    """Take nodes out of the standard operators: the converter leaves them alone."""
    for node in nodes:
        node.domain = domain
    if nodes and domain not in {one.domain for one in model.opset_import}:
        model.opset_import.append(need("onnx.helper", extra="export").make_opsetid(domain, 1))


def _align_slopes(model: ModelProto) -> None:
    """Give the slopes of PRelu the axes after the channels: before opset 7 they were of the channels without them."""
    onnx = need("onnx", extra="export")
    inferred = onnx.shape_inference.infer_shapes(model).graph
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    slopes = {node.input[1]: ranks.get(node.input[0], 2) for node in model.graph.node if node.op_type == "PRelu"}
    for tensor in model.graph.initializer:
        if tensor.name in slopes and len(tensor.dims) == 1 and tensor.dims[0] > 1:
            array = onnx.numpy_helper.to_array(tensor).reshape(-1, *[1] * (slopes[tensor.name] - 2))
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def _put_resizes_aside(model: ModelProto) -> None:
    """Take out Upsample, and Resize of opset 10, which the converter cannot raise."""
    first = opset_of(model) == _FIRST_RESIZE
    found = [one for one in model.graph.node if one.op_type == "Upsample" or (one.op_type == "Resize" and first)]
    for node in found:
        _scales_as_input(node, model.graph)
    _put_aside(found, model, _RESIZES)


def _scales_as_input(node: NodeProto, graph: GraphProto) -> None:
    onnx = need("onnx", extra="export")
    scales = next((one for one in node.attribute if one.name == "scales"), None)
    if scales is not None:
        array = np.asarray(onnx.helper.get_attribute_value(scales), np.float32)
        node.input.append(f"{node.output[0]}_scales")
        graph.initializer.append(onnx.numpy_helper.from_array(array, node.input[1]))


def _put_back(model: ModelProto) -> None:
    """Make what was put aside standard operators again."""
    for node in nodes_of(model.graph):
        if node.domain == _RESIZES:
            _as_resize(node)
        node.domain = "" if node.domain == _ASIDE else node.domain
    kept = [one for one in model.opset_import if one.domain not in (_ASIDE, _RESIZES)]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _as_resize(node: NodeProto) -> None:
    """Write an Upsample as Resize of opset 11 and later, which has several ways to align pixels."""
    helper = need("onnx.helper", extra="export")
    mode = next((helper.get_attribute_value(one).decode() for one in node.attribute if one.name == "mode"), "nearest")
    aligned = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    image, scales = node.input
    made = helper.make_node("Resize", [image, "", scales], list(node.output), node.name, mode=mode, **aligned)
    node.CopyFrom(made)


def is_older(model: ModelProto) -> bool:
    """True if the model is of an opset from which ONNX Runtime has few operators."""
    return opset_of(model) < OLDEST


def is_newer(model: ModelProto) -> bool:
    """True if ONNX Runtime would refuse the model because of its version alone."""
    return model.ir_version > NEWEST_IR or bool(_newer(model))


def lowered(model: ModelProto) -> ModelProto:
    """The model in a version that ONNX Runtime reads; operators that changed since are expanded or converted.

    Raises:
        Refused: An operator that the older version cannot express.
    """
    model.ir_version = min(model.ir_version, NEWEST_IR)
    if changed := _changed(model):
        model = written_out(model, changed)
    if not _newer(model):
        return model
    try:
        return _converted(model, NEWEST)
    except Exception as err:  # the converter raises whatever its assertions say
        for node in nodes_of(model.graph):
            if _is_unknown(node, NEWEST):
                raise refuse("newer-opset", f"Operator '{node.op_type}'") from err
    # What is left has another type or option only, of which ONNX Runtime says that it lacks it.
    for one in _newer(model):
        one.version = NEWEST
    return model


def written_out(model: ModelProto, operators: Collection[str]) -> ModelProto:
    """The model with these operators replaced by their definitions, where they have one that fits."""
    found = [node for node in nodes_of(model.graph) if node.op_type in operators]
    for node in found:
        _spell_defaults(node, next((one.version for one in model.opset_import if one.domain == node.domain), NEWEST))
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
    # The inliner asks for the type of inputs that are left out as well.
    typed.graph.value_info.append(onnx.helper.make_tensor_value_info("", onnx.TensorProto.FLOAT, []))
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


def _newer(model: ModelProto) -> list[OperatorSetIdProto]:
    return [one for one in _standard(model) if one.version > NEWEST]


def _changed(model: ModelProto) -> list[str]:
    """Operators that are not what they were in the version that ONNX Runtime reads."""
    nodes = list(nodes_of(model.graph))
    return [node.op_type for one in _newer(model) for node in nodes if _has_changed(node, one.version)]


def _standard(model: ModelProto) -> list[OperatorSetIdProto]:
    return [one for one in model.opset_import if one.domain in STANDARD]


def _has_changed(node: NodeProto, version: int) -> bool:
    defs = need("onnx", extra="export").defs
    known = node.domain in STANDARD and defs.has(node.op_type, version)
    return known and defs.get_schema(node.op_type, version).since_version > NEWEST
