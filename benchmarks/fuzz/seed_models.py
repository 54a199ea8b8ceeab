"""The models that are mutated: small .onnx and .tflite files with every part that readers and backends know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper
from tests.runtime.data.make import Tflite

DATA: Final = Path(__file__).parents[2] / "tests/runtime/data"
FLOAT, INT64, INT8, BOOL, STRING = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.INT8,
    TensorProto.BOOL,
    TensorProto.STRING,
)
_value = helper.make_tensor_value_info
_node = helper.make_node
_OPSETS: Final = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("own", 1)]


def _weights(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def _model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: dict[str, Any] | None = None,
    functions: Sequence[Any] = (),
) -> bytes:
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors, doc_string="a net")
    model = helper.make_model(graph, opset_imports=_OPSETS, ir_version=9, functions=functions, producer_name="maker")
    helper.set_model_props(model, {"sizes": "N=1", "author": "x"})
    return bytes(model.SerializeToString(deterministic=True))


def classifier(shape: Sequence[int], classes: int = 3) -> bytes:
    """A linear classifier of inputs `(N, *shape)`, called x, to scores y."""
    size = int(np.prod(shape))
    return _model(
        [_node("Flatten", ["x"], ["flat"]), _node("MatMul", ["flat", "w"], ["y"])],
        [_value("x", FLOAT, ["N", *shape])],
        [_value("y", FLOAT, ["N", classes])],
        {"w": _weights(size, classes)},
    )


@cache
def onnx_seeds() -> tuple[bytes, ...]:
    """Every .onnx that is mutated."""
    own = ("linear", "lookup", "nonzero", "two")
    return (*((DATA / f"{name}.onnx").read_bytes() for name in own), *_made())


def _made() -> Iterator[bytes]:
    yield classifier((1, 8, 8))
    yield _convolution()
    yield _quantized()
    yield _recurrent()
    yield _controlled()
    yield _sequences()
    yield _called()
    yield _detector()
    yield _stored()
    yield _attention()


def _convolution() -> bytes:
    nodes = [
        _node("Conv", ["x", "k"], ["a"], pads=[1, 1, 1, 1], strides=[1, 1], kernel_shape=[3, 3], name="first"),
        _node("BatchNormalization", ["a", "s", "b", "m", "v"], ["c"], epsilon=1e-5),
        _node("Relu", ["c"], ["d"]),
        _node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[2, 2]),
        _node("ConvTranspose", ["e", "t"], ["f"], strides=[2, 2], output_padding=[0, 0]),
        _node("Resize", ["f", "", "scales"], ["g"], mode="nearest"),
        _node("GlobalAveragePool", ["g"], ["h"]),
        _node("Reshape", ["h", "shape"], ["i"]),
        _node("Gemm", ["i", "w", "bias"], ["j"], transB=1, alpha=1.0),
        _node("Softmax", ["j"], ["y"], axis=-1),
    ]
    constants = {
        "k": _weights(4, 3, 3, 3),
        "t": _weights(4, 4, 2, 2),
        "w": _weights(5, 4),
        "bias": _weights(5),
        **{name: np.ones(4, np.float32) for name in "sbmv"},
        "scales": np.array([1, 1, 2, 2], np.float32),
        "shape": np.array([0, -1]),
    }
    return _model(nodes, [_value("x", FLOAT, ["N", 3, 8, 8])], [_value("y", FLOAT, ["N", 5])], constants)


def _quantized() -> bytes:
    nodes = [
        _node("QuantizeLinear", ["x", "sx", "zx"], ["q"]),
        _node("DequantizeLinear", ["q", "sx", "zx"], ["d"]),
        _node("DequantizeLinear", ["wq", "sw", "zw"], ["w"], axis=1),
        _node("MatMul", ["d", "w"], ["m"]),
        _node("DynamicQuantizeLinear", ["m"], ["u", "us", "uz"]),
        _node("MatMulInteger", ["u", "w2", "uz"], ["i"]),
        _node("Cast", ["i"], ["f"], to=FLOAT),
        _node("Mul", ["f", "us"], ["y"]),
    ]
    constants = {
        "sx": np.float32(0.1),
        "zx": np.int8(3),
        "wq": np.arange(12, dtype=np.int8).reshape(4, 3),
        "sw": np.ones(3, np.float32),
        "zw": np.zeros(3, np.int8),
        "w2": np.arange(6, dtype=np.uint8).reshape(3, 2),
    }
    return _model(nodes, [_value("x", FLOAT, ["N", 4])], [_value("y", FLOAT, ["N", 2])], constants)


def _recurrent() -> bytes:
    nodes = [
        _node("LSTM", ["x", "w", "r", "b", "", "h0", "c0"], ["o", "h1", "c1"], hidden_size=4, direction="forward"),
        _node("Squeeze", ["o", "one"], ["s"]),
        _node("GRU", ["s", "w2", "r2"], ["g", ""], hidden_size=3),
        _node("ReduceMean", ["g"], ["y"], axes=[0], keepdims=0),
    ]
    constants = {
        "w": _weights(1, 16, 2),
        "r": _weights(1, 16, 4),
        "b": np.zeros((1, 32), np.float32),
        "w2": _weights(1, 9, 4),
        "r2": _weights(1, 9, 3),
        "one": np.array([1]),
    }
    state = [1, "N", 4]
    inputs = [_value("x", FLOAT, [4, "N", 2]), _value("h0", FLOAT, state), _value("c0", FLOAT, state)]
    outputs = [_value("y", FLOAT, [1, "N", 3]), _value("h1", FLOAT, state), _value("c1", FLOAT, state)]
    return _model(nodes, inputs, outputs, constants)


def _controlled() -> bytes:
    body = helper.make_graph(
        [_node("Identity", ["c"], ["co"]), _node("Add", ["v", "v"], ["vo"]), _node("ReduceSum", ["vo"], ["sum"])],
        "body",
        [_value("i", INT64, []), _value("c", BOOL, []), _value("v", FLOAT, ["N", 4])],
        [_value("co", BOOL, []), _value("vo", FLOAT, ["N", 4]), _value("sum", FLOAT, None)],
    )
    then, other = (
        helper.make_graph([_node(kind, ["looped"], ["chosen"])], kind, [], [_value("chosen", FLOAT, ["N", 4])])
        for kind in ("Neg", "Abs")
    )
    inside = [_value("before", FLOAT, [4]), _value("row", FLOAT, [4])]
    scanned = helper.make_graph(
        [_node("Add", ["before", "row"], ["after"]), _node("Identity", ["after"], ["out"])],
        "scan",
        inside,
        [_value("after", FLOAT, [4]), _value("out", FLOAT, [4])],
    )
    nodes = [
        _node("Loop", ["count", "on", "x"], ["looped", "sums"], body=body),
        _node("If", ["on"], ["branch"], then_branch=then, else_branch=other),
        _node("Scan", ["zeros", "branch"], ["last", "y"], num_scan_inputs=1, body=scanned),
    ]
    constants = {"count": np.int64(3), "on": np.bool_(True), "zeros": np.zeros(4, np.float32)}
    return _model(nodes, [_value("x", FLOAT, ["N", 4])], [_value("y", FLOAT, ["N", 4])], constants)


def _sequences() -> bytes:
    nodes = [
        _node("SplitToSequence", ["x"], ["parts"], axis=0),
        _node("SequenceAt", ["parts", "place"], ["first"]),
        _node("SequenceInsert", ["parts", "first"], ["more"]),
        _node("ConcatFromSequence", ["more"], ["y"], axis=0),
        _node("Identity", ["words"], ["lower"]),
    ]
    inputs = [_value("x", FLOAT, ["N", 2]), _value("words", STRING, [2])]
    outputs = [_value("y", FLOAT, ["M", 2]), _value("lower", STRING, ["C"])]
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, ["N", 2]))
    data = onnx.load_model_from_string(_model(nodes, inputs, outputs, {"place": np.int64(0)}))
    data.graph.output.append(helper.make_value_info("parts", sequence))
    return bytes(data.SerializeToString(deterministic=True))


def _called() -> bytes:
    inner = helper.make_function("own", "Half", ["a"], ["b"], [_node("Relu", ["a"], ["b"])], _OPSETS)
    outer = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [_node("Half", ["a"], ["t"], domain="own"), _node("Half", ["t"], ["b"], domain="own")],
        _OPSETS,
    )
    nodes = [
        _node("Twice", ["x"], ["t"], domain="own", name="call"),
        _node("Gelu", ["t"], ["y"], domain="com.microsoft"),
    ]
    return _model(nodes, [_value("x", FLOAT, ["N", 4])], [_value("y", FLOAT, ["N", 4])], functions=[inner, outer])


def _detector() -> bytes:
    nodes = [
        _node("TopK", ["scores", "k"], ["best", "places"], axis=-1),
        _node("NonMaxSuppression", ["boxes", "scores", "most", "overlap"], ["kept"]),
        _node("Slice", ["boxes", "start", "end", "axes"], ["part"]),
        _node("Pad", ["part", "pads"], ["padded"], mode="constant"),
        _node("Tile", ["padded", "times"], ["tiled"]),
        _node("OneHot", ["places", "depth", "values"], ["hot"]),
        _node("Einsum", ["hot", "hot"], ["e"], equation="abcd,abce->abde"),
        _node("Expand", ["best", "times"], ["y"]),
        _node("ConstantOfShape", ["times"], ["zeros"], value=helper.make_tensor("v", FLOAT, [1], [0.5])),
        _node("Range", ["start0", "end0", "step0"], ["r"]),
        _node("ScatterND", ["zeros", "where", "what"], ["scattered"]),
    ]
    constants = {
        "k": np.array([2]),
        "most": np.array([3]),
        "overlap": np.array([0.5], np.float32),
        "times": np.array([1, 2, 1]),
        "start": np.array([0]),
        "end": np.array([3]),
        "axes": np.array([2]),
        "pads": np.array([0, 0, 0, 0, 1, 0]),
        "depth": np.int64(4),
        "values": np.array([0, 1], np.float32),
        "start0": np.int64(0),
        "end0": np.int64(9),
        "step0": np.int64(2),
        "where": np.array([[0, 1, 0]]),
        "what": np.array([1], np.float32),
    }
    inputs = [_value("boxes", FLOAT, [1, 6, 4]), _value("scores", FLOAT, [1, 1, 6])]
    outputs = [_value(name, kind, None) for name, kind in (("kept", INT64), ("y", FLOAT), ("e", FLOAT), ("r", INT64))]
    return _model(nodes, inputs, [*outputs, _value("tiled", FLOAT, None), _value("scattered", FLOAT, None)], constants)


def _stored() -> bytes:
    """Weights in another file, sparse weights, weights in lists of numbers, and a type of an optional value."""
    data = onnx.load_model_from_string(
        _model([_node("Add", ["x", "w"], ["a"]), _node("MatMul", ["a", "s"], ["y"])], [], [])
    )
    graph = data.graph
    graph.input.append(_value("x", FLOAT, ["N", 4]))
    graph.output.append(_value("y", FLOAT, ["N", 4]))
    outside = graph.initializer.add(name="w", data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", "16")):
        outside.external_data.add(key=key, value=value)
    graph.initializer.append(helper.make_tensor("h", TensorProto.FLOAT16, [2], [1.0, 2.0]))
    graph.initializer.append(helper.make_tensor("t", STRING, [2], [b"a", b"b"]))
    graph.initializer.append(helper.make_tensor("l", INT64, [3], [1, 2, 3]))
    values = helper.make_tensor("s", FLOAT, [2], [1.0, 2.0])
    graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, helper.make_tensor("places", INT64, [2], [1, 6]), [4, 4])
    )
    graph.value_info.append(
        helper.make_value_info("o", helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [2])))
    )
    graph.quantization_annotation.add(tensor_name="w").quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="h")
    graph.metadata_props.add(key="a", value="b")
    return bytes(data.SerializeToString(deterministic=True))


def _attention() -> bytes:
    nodes = [
        _node("Gather", ["table", "ids"], ["e"]),
        _node("Shape", ["e"], ["shape"]),
        _node("Gather", ["shape", "one"], ["length"], axis=0),
        _node("Unsqueeze", ["length", "zero"], ["axis"]),
        _node("Transpose", ["e"], ["t"], perm=[0, 2, 1]),
        _node("MatMul", ["e", "t"], ["m"]),
        _node("CumSum", ["m", "one"], ["c"]),
        _node("Where", ["mask", "c", "least"], ["w"]),
        _node("LayerNormalization", ["w", "scale"], ["n"], axis=-1),
        _node("Trilu", ["n"], ["y"], upper=0),
    ]
    constants = {
        "table": _weights(11, 4),
        "one": np.int64(1),
        "zero": np.array([0]),
        "least": np.float32(-1e9),
        "scale": np.ones(1, np.float32),
    }
    inputs = [_value("ids", INT64, ["N", 3]), _value("mask", BOOL, ["N", 3, 3])]
    return _model(nodes, inputs, [_value("y", FLOAT, ["N", 3, 3]), _value("axis", INT64, [1])], constants)


@cache
def tflite_seeds() -> tuple[bytes, ...]:
    """Every .tflite that is mutated."""
    own = ("bare", "linear", "lookup", "quantized", "two")
    return (*((DATA / f"{name}.tflite").read_bytes() for name in own), _tflite_convolution(), _tflite_controlled())


def _options(kind: str, **fields: Any) -> Any:
    made = getattr(schema, f"{kind}OptionsT")()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _tflite_convolution() -> bytes:
    tflite, types, codes = Tflite(), schema.TensorType, schema.BuiltinOperator
    kernel, bias = tflite.constant(_weights(2, 3, 3, 1)), tflite.constant(_weights(2))
    shape, axes = tflite.constant(np.array([1, -1], np.int32)), tflite.constant(np.array([1], np.int32))
    tensors: dict[str, Any] = {
        "x": (types.FLOAT32, (1, 8, 8, 1)),
        "k": (types.FLOAT32, (2, 3, 3, 1), kernel),
        "b": (types.FLOAT32, (2,), bias),
        "c": (types.FLOAT32, (1, 8, 8, 2)),
        "p": (types.FLOAT32, (1, 4, 4, 2)),
        "shape": (types.INT32, (2,), shape),
        "r": (types.FLOAT32, (1, 32)),
        "q": (types.INT8, (1, 32), 0, (0.1, 3)),
        "d": (types.FLOAT32, (1, 32)),
        "axes": (types.INT32, (1,), axes),
        "m": (types.FLOAT32, (1, 1)),
        "y": (types.FLOAT32, (1, 1)),
    }
    convolution = _options(
        "Conv2D", strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, fusedActivationFunction=1
    )
    pool = _options("Pool2D", strideW=2, strideH=2, filterWidth=2, filterHeight=2)
    operators = [
        (codes.CONV_2D, ["x", "k", "b"], ["c"], convolution),
        (codes.MAX_POOL_2D, ["c"], ["p"], pool),
        (codes.RESHAPE, ["p", "shape"], ["r"], _options("Reshape", newShape=[1, 32])),
        (codes.QUANTIZE, ["r"], ["q"], _options("Quantize")),
        (codes.DEQUANTIZE, ["q"], ["d"], _options("Dequantize")),
        (codes.MEAN, ["d", "axes"], ["m"], _options("Reducer", keepDims=True)),
        (codes.SOFTMAX, ["m"], ["y"], _options("Softmax", beta=1.0)),
    ]
    tflite.subgraph(tensors, operators, ["x"], ["y"], "serving_default")
    tflite.model.description = b"a net"
    metadata = schema.MetadataT()
    metadata.name, metadata.buffer = b"min_runtime_version", tflite.constant(np.frombuffer(b"1.5.0\0\0\0", np.uint8))
    tflite.model.metadata = [metadata]
    return bytes(tflite.bytes())


def _tflite_controlled() -> bytes:
    tflite, types, codes = Tflite(), schema.TensorType, schema.BuiltinOperator
    one, most = tflite.constant(np.array([1], np.float32)), tflite.constant(np.array([9], np.float32))
    both = _options("If", thenSubgraphIndex=1, elseSubgraphIndex=2)
    again = _options("While", condSubgraphIndex=3, bodySubgraphIndex=1)
    number: dict[str, Any] = {"a": (types.FLOAT32, (1,)), "one": (types.FLOAT32, (1,), one), "o": (types.FLOAT32, (1,))}
    main: dict[str, Any] = {
        "c": (types.BOOL, (1,)),
        "x": (types.FLOAT32, (1,)),
        "t": (types.FLOAT32, (1,)),
        "y": (types.FLOAT32, (1,)),
    }
    chosen = [(codes.IF, ["c", "x"], ["t"], both), (codes.WHILE, ["t"], ["y"], again)]
    tflite.subgraph(main, chosen, ["c", "x"], ["y"], "serving_default")
    tflite.subgraph(number, [(codes.ADD, ["a", "one"], ["o"], _options("Add"))], ["a"], ["o"])
    tflite.subgraph(number, [(codes.MUL, ["a", "one"], ["o"], _options("Mul"))], ["a"], ["o"])
    condition = {"a": (types.FLOAT32, (1,)), "most": (types.FLOAT32, (1,), most), "o": (types.BOOL, (1,))}
    tflite.subgraph(condition, [(codes.LESS, ["a", "most"], ["o"], _options("Less"))], ["a"], ["o"])
    return bytes(tflite.bytes())
