"""Widening: what numpy or ONNX Runtime lacks for a type is computed in a wider one, or written out otherwise."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

from edgekit.core.system.optional import need
from edgekit.export.onnx.nodes import nodes_of, rename
from edgekit.export.onnx.opsets import opset_of

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto, NodeProto, ValueInfoProto

# Every value of the type on the left is one of the type on the right.
_WIDER: Final = {
    "BFLOAT16": "FLOAT",
    "FLOAT8E4M3FN": "FLOAT",
    "FLOAT8E4M3FNUZ": "FLOAT",
    "FLOAT8E5M2": "FLOAT",
    "FLOAT8E5M2FNUZ": "FLOAT",
    "FLOAT8E8M0": "FLOAT",
    "FLOAT4E2M1": "FLOAT",
    "INT4": "INT8",
    "UINT4": "UINT8",
    "INT2": "INT8",
    "UINT2": "UINT8",
}

# Types in which ONNX Runtime has kernels of most operators, for those that it often lacks.
_COMPUTED: Final = {
    "BFLOAT16": "FLOAT",
    "FLOAT16": "FLOAT",
    "INT8": "INT32",
    "UINT8": "INT32",
    "INT16": "INT32",
    "UINT16": "INT32",
    "UINT32": "INT64",
}
_DOMAIN: Final = "edgekit"
# The first IR of functions inside a file.
_FUNCTIONS: Final = 8
_FLOATS: Final = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")
_BITS: Final = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64, "UINT16": 16}
_RECURRENT: Final = {"LSTM": 3, "GRU": 2, "RNN": 2}

# The remainder by truncation, moved to the side of the divisor.
_MOD: Final = """(a, b) => (y) {
    m = Mod <fmod = 1> (a, b)
    nothing = Constant <value = float {0}> ()
    zero = CastLike (nothing, b)
    none = Equal (m, zero)
    some = Not (none)
    low = Less (m, zero)
    negative = Less (b, zero)
    apart = Xor (low, negative)
    moved = And (some, apart)
    sum = Add (m, b)
    y = Where (moved, sum, m)
}"""
# In 64 bits without a sign, where the bits of negative values are inverted before and after a shift to the right.
_SHIFT: Final = """(a, b) => (y) {
    zero = Constant <value = int64 {0}> ()
    one = Constant <value = int64 {1}> ()
    width = Constant <value = int64 {BITS}> ()
    x = Cast <to = 7> (a)
    given = Cast <to = 7> (b)
    below = Less (given, zero)
    above = GreaterOrEqual (given, width)
    outside = Or (below, above)
    steps = Where (outside, zero, given)
    steps_u = Cast <to = 13> (steps)
    low = Less (x, zero)
    minus = Neg (x)
    inverted = Sub (minus, one)
    bits = Where (low, inverted, x)
    left_u = Cast <to = 13> (x)
    right_u = Cast <to = 13> (bits)
    shifted_u = BitShift <direction = "DIRECTION"> (SOURCE, steps_u)
    shifted = Cast <to = 7> (shifted_u)
    back = Neg (shifted)
    restored = Sub (back, one)
    right = Where (low, restored, shifted)
    minus_one = Neg (one)
    fill = Where (low, minus_one, zero)
    RESULT
    y = CastLike (result, a)
}"""
_LEFT: Final = "result = Where (outside, zero, shifted)"
_RIGHT: Final = "result = Where (outside, fill, right)"


def wider(kind: int) -> int | None:
    """The wider type for a tensor of this type; None if numpy arrays have the type."""
    types = need("onnx", extra="export").TensorProto.DataType
    name = _WIDER.get(types.Name(kind))
    return None if name is None else int(types.Value(name))


def narrow_borders(model: ModelProto) -> dict[str, str]:
    """By name, the type of every input and output that numpy arrays do not have."""
    types = need("onnx", extra="export").TensorProto.DataType
    found = ((value.name, value.type.tensor_type.elem_type) for value in _borders(model))
    return {name: types.Name(kind).lower() for name, kind in found if kind and wider(kind)}


def widened(model: ModelProto) -> ModelProto:
    """The model with inputs and outputs that numpy arrays can hold: the same names, and a Cast after each input and
    before each output whose type changes. Weights keep their types."""
    narrow = narrow_borders(model)
    if not narrow:
        return model
    onnx = need("onnx", extra="export")
    graph = model.graph
    inputs = [value for value in graph.input if value.name in narrow]
    outputs = [value for value in graph.output if value.name in narrow]
    inner = {value.name: f"{value.name}_{narrow[value.name]}" for value in (*inputs, *outputs)}
    rename(graph, inner)
    passed = {value.name for value in inputs}
    before = [
        onnx.helper.make_node("Cast", [value.name], [inner[value.name]], to=value.type.tensor_type.elem_type)
        for value in inputs
    ]
    after = [
        onnx.helper.make_node("Cast", [inner[value.name]], [value.name], to=wider(value.type.tensor_type.elem_type))
        for value in outputs
        if value.name not in passed
    ]
    for value in (*inputs, *outputs):
        kind = value.type.tensor_type
        kind.elem_type = wider(kind.elem_type) or kind.elem_type
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return model


def computed_wider(model: ModelProto, operators: Collection[str]) -> ModelProto:
    """The model in which these operators read and give wider types, between Casts, where theirs are narrow ones."""
    onnx = need("onnx", extra="export")
    types = element_types(model)
    names = onnx.TensorProto.DataType
    wide = {narrow: names.Value(_COMPUTED[names.Name(narrow)]) for narrow in set(types.values()) & _narrow(names)}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        chosen = node.op_type in operators
        before, after = [], []
        for place, name in enumerate(node.input if chosen else ()):
            if types.get(name) == names.UINT64 and node.op_type == "Pow":
                # An exponent is small.
                before.append(onnx.helper.make_node("Cast", [name], [f"{name}_exponent"], to=names.INT64))
                node.input[place] = f"{name}_exponent"
            elif types.get(name) in wide:
                node.input[place] = f"{name}_for_{node.output[0]}_{place}"
                before.append(onnx.helper.make_node("Cast", [name], [node.input[place]], to=wide[types[name]]))
        for place, name in enumerate(node.output if chosen else ()):
            if types.get(name) in wide:
                node.output[place] = f"{name}_wide"
                after.append(onnx.helper.make_node("Cast", [node.output[place]], [name], to=types[name]))
        nodes += [*before, node, *after]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def without_bfloat16(model: ModelProto) -> ModelProto:
    """The model with float32 instead of bfloat16, inside and at its borders."""
    onnx = need("onnx", extra="export")
    narrow, wide = onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT
    attributes = [one for node in nodes_of(model.graph) for one in node.attribute]
    for tensor in (*model.graph.initializer, *(one.t for one in attributes if one.HasField("t"))):
        if tensor.data_type == narrow:
            array = onnx.numpy_helper.to_array(tensor).astype("float32")
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for one in attributes:
        if one.name in ("to", "dtype", "output_dtype") and one.i == narrow:
            one.i = wide
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == narrow:
            value.type.tensor_type.elem_type = wide
    del model.graph.value_info[:]
    return model


def element_types(model: ModelProto) -> dict[str, int]:
    """Element types of the tensors of the graph, as far as they can be inferred."""
    inferred = need("onnx.shape_inference", extra="export").infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    found = {one.name: one.type.tensor_type.elem_type for one in values if one.type.tensor_type.elem_type}
    return {**found, **{tensor.name: tensor.data_type for tensor in inferred.initializer}}


def _narrow(names: Any) -> set[int]:
    return {int(names.Value(name)) for name in _COMPUTED}


def _borders(model: ModelProto) -> Iterator[ValueInfoProto]:
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        if value.type.WhichOneof("value") == "tensor_type" and value.name not in weights:
            yield value


def with_definitions(model: ModelProto, operators: Collection[str]) -> ModelProto:
    """The model with these uses of the operators written out: Mod of floats that rounds down, BitShift of signed
    integers, and recurrent layers whose first axis is the batch."""
    onnx = need("onnx", extra="export")
    types = element_types(model)
    bodies: dict[str, str] = {}
    for node in [one for one in model.graph.node if one.op_type in operators and one.input]:
        body = _body(node, onnx.TensorProto.DataType.Name(types.get(node.input[0], 0)))
        if body:
            name = f"{node.op_type}{len(bodies)}"
            bodies[name] = f'<domain: "{_DOMAIN}", opset_import: ["": {opset_of(model)}]> {name} {body}'
            node.op_type, node.domain = name, _DOMAIN
            del node.attribute[:]
    _put_batch_second([one for one in model.graph.node if one.op_type in {*operators} & {*_RECURRENT}], model)
    _use_plain_locale([one for one in model.graph.node if one.op_type in {*operators} & {"StringNormalizer"}])
    if not bodies:
        return model
    model.functions.extend(onnx.parser.parse_function(text) for text in bodies.values())
    model.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    model.ir_version = max(model.ir_version, _FUNCTIONS)
    made: ModelProto = need("onnx.inliner", extra="export").inline_local_functions(model)
    return made


def undefined(model: ModelProto) -> frozenset[str]:
    """Operators that ONNX Runtime opens, and refuses when they run: Mod of floats that rounds down."""
    nodes = [one for one in model.graph.node if one.op_type == "Mod"]
    if not nodes:
        return frozenset()
    kinds, names = element_types(model), need("onnx", extra="export").TensorProto.DataType
    return frozenset(one.op_type for one in nodes if _body(one, names.Name(kinds.get(one.input[0], 0))))


def _use_plain_locale(nodes: Collection[NodeProto]) -> None:
    """Let text be compared and changed by the locale that every Linux has: that of the standard may be missing."""
    make = need("onnx.helper", extra="export").make_attribute
    for node in nodes:
        kept = [one for one in node.attribute if one.name != "locale"]
        del node.attribute[:]
        node.attribute.extend([*kept, make("locale", "C.UTF-8")])


def _body(node: NodeProto, kind: str) -> str:
    """The definition of a node in the syntax of ONNX; empty if it needs none."""
    helper = need("onnx.helper", extra="export")
    options = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    if node.op_type == "Mod" and kind in _FLOATS and not options.get("fmod", 0):
        return _MOD
    if node.op_type == "BitShift" and kind in _BITS:
        left = options["direction"] == b"LEFT"
        text = _SHIFT.replace("BITS", str(_BITS[kind])).replace("DIRECTION", "LEFT" if left else "RIGHT")
        return text.replace("SOURCE", "left_u" if left else "right_u").replace("RESULT", _LEFT if left else _RIGHT)
    return ""


def _put_batch_second(layers: Collection[NodeProto], model: ModelProto) -> None:
    """Put recurrent layers of layout 1 between transpositions, in layout 0."""
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        swapped = node in layers and any(one.name == "layout" and one.i for one in node.attribute)
        nodes += _transposed(node) if swapped else [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _transposed(node: NodeProto) -> list[NodeProto]:
    """A layer of layout 1 in layout 0: its input and its states before, its outputs after it."""
    make = need("onnx.helper", extra="export").make_node
    place = next(place for place, one in enumerate(node.attribute) if one.name == "layout")
    del node.attribute[place]
    before, after = [], []
    states = [5, 6] if node.op_type == "LSTM" else [5]
    for place in [one for one in (0, *states) if one < len(node.input) and node.input[one]]:
        name = f"{node.output[0] or node.output[-1]}_in_{place}"
        before.append(make("Transpose", [node.input[place]], [name], perm=[1, 0, 2]))
        node.input[place] = name
    for place, name in enumerate(node.output):
        if name:
            node.output[place] = f"{name}_swapped"
            perm = [2, 0, 1, 3] if place == 0 else [1, 0, 2]
            after.append(make("Transpose", [node.output[place]], [name], perm=perm))
    return [*before, node, *after]
