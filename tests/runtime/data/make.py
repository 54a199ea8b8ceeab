"""Writes the tiny models of this folder, which are committed: `python tests/runtime/data/make.py [FOLDER]`."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = np.array([[1.0, -2.0, 0.5], [0.25, 0.0, -1.0]], dtype=np.float32)  # (2, 3): y = x @ WEIGHTS.T + OFFSET
OFFSET = np.array([0.5, -0.5], dtype=np.float32)
TABLE = np.arange(10, dtype=np.float32).reshape(5, 2)  # 5 words, 2 features

Array = NDArray[np.generic]
Names = Sequence[str]
Declared = tuple[str, int, list[Any]]
Operator = tuple[int, list[str], list[str], Any]

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
FLOAT32, INT32, INT8 = schema.TensorType.FLOAT32, schema.TensorType.INT32, schema.TensorType.INT8


def onnx_model(
    nodes: list[Any], inputs: list[Declared], outputs: list[Declared], constants: Sequence[tuple[str, Array]] = ()
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model.producer_name = ""
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def linear_onnx() -> bytes:
    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    return onnx_model([gemm], [("x", FLOAT, ["N", 3])], [("y", FLOAT, ["N", 2])], [("w", WEIGHTS), ("b", OFFSET)])


def two_onnx() -> bytes:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Mul", ["a", "b"], ["product"])]
    shape = ["N", 3]
    return onnx_model(
        nodes, [("a", FLOAT, shape), ("b", FLOAT, shape)], [("sum", FLOAT, shape), ("product", FLOAT, shape)]
    )


def lookup_onnx() -> bytes:
    gather = helper.make_node("Gather", ["table", "ids"], ["features"])
    return onnx_model([gather], [("ids", INT64, ["N", "T"])], [("features", FLOAT, ["N", "T", 2])], [("table", TABLE)])


def nonzero_onnx() -> bytes:
    return onnx_model(
        [helper.make_node("NonZero", ["x"], ["places"])], [("x", FLOAT, ["N"])], [("places", INT64, [1, "found"])]
    )


class Tflite:
    """A TFLite model under construction: buffers and operator codes are shared by its subgraphs."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes, self.model.subgraphs, self.model.signatureDefs = [], [], []

    def constant(self, array: Array) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), dtype=np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def subgraph(
        self, tensors: dict[str, Any], operators: list[Operator], inputs: Names, outputs: Names, signature: str = ""
    ) -> None:
        """Add a subgraph.

        Args:
            tensors: `{name: (type, shape, buffer, (scale, zero point))}`, the last two as far as there are any.
            operators: `(code, inputs, outputs, options)` each.
        """
        graph = schema.SubGraphT()
        graph.name = signature
        names = list(tensors)
        graph.tensors = [self._tensor(name, *tensors[name]) for name in names]
        graph.inputs, graph.outputs = [names.index(n) for n in inputs], [names.index(n) for n in outputs]
        graph.operators = [self._operator(names, *operator) for operator in operators]
        self.model.subgraphs.append(graph)
        if signature:
            self._sign(signature, names, inputs, outputs)

    def bytes(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(
        self, name: str, kind: int, shape: Sequence[int], buffer: int = 0, quantization: tuple[float, int] | None = None
    ) -> Any:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = name, kind, list(shape), buffer
        if quantization:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantization[0]], [quantization[1]]
        return tensor

    def _operator(self, names: Names, code: int, inputs: Names, outputs: Names, options: Any) -> Any:
        codes = [each.builtinCode for each in self.model.operatorCodes]
        if code not in codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
            entry.version = 4 if code == schema.BuiltinOperator.FULLY_CONNECTED else 1
            self.model.operatorCodes.append(entry)
            codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = codes.index(code)
        operator.inputs, operator.outputs = [names.index(n) for n in inputs], [names.index(n) for n in outputs]
        kind = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, kind), options
        return operator

    def _sign(self, signature: str, names: Names, inputs: Names, outputs: Names) -> None:
        entry = schema.SignatureDefT()
        entry.signatureKey, entry.subgraphIndex = signature, len(self.model.subgraphs) - 1
        entry.inputs, entry.outputs = [self._map(names, n) for n in inputs], [self._map(names, n) for n in outputs]
        self.model.signatureDefs.append(entry)

    def _map(self, names: Names, name: str) -> Any:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, names.index(name)
        return entry


FULLY_CONNECTED = schema.BuiltinOperator.FULLY_CONNECTED


def linear_tflite(batches: Sequence[int], *, signed: bool) -> bytes:
    tflite = Tflite()
    w, b = tflite.constant(WEIGHTS), tflite.constant(OFFSET)
    for n in batches:
        tensors = {"x": (FLOAT32, (n, 3)), "w": (FLOAT32, (2, 3), w), "b": (FLOAT32, (2,), b), "y": (FLOAT32, (n, 2))}
        operator = (FULLY_CONNECTED, ["x", "w", "b"], ["y"], schema.FullyConnectedOptionsT())
        tflite.subgraph(tensors, [operator], ["x"], ["y"], f"n{n}" if signed else "")
    return tflite.bytes()


def two_tflite() -> bytes:
    tflite = Tflite()
    for n in (1, 2):
        tensors = dict.fromkeys(("a", "b", "sum", "product"), (FLOAT32, (n, 3)))
        operators = [
            (schema.BuiltinOperator.ADD, ["a", "b"], ["sum"], schema.AddOptionsT()),
            (schema.BuiltinOperator.MUL, ["a", "b"], ["product"], schema.MulOptionsT()),
        ]
        tflite.subgraph(tensors, operators, ["a", "b"], ["sum", "product"], f"n{n}")
    return tflite.bytes()


def lookup_tflite() -> bytes:
    tflite = Tflite()
    table = tflite.constant(TABLE)
    for n, t in ((1, 4), (1, 8), (2, 8)):
        tensors = {"ids": (INT32, (n, t)), "table": (FLOAT32, (5, 2), table), "features": (FLOAT32, (n, t, 2))}
        operator = (schema.BuiltinOperator.GATHER, ["table", "ids"], ["features"], schema.GatherOptionsT())
        tflite.subgraph(tensors, [operator], ["ids"], ["features"], f"n{n}_t{t}")
    return tflite.bytes()


def quantized_tflite() -> bytes:
    """The linear model with int8 input and output: x in steps of 1/16 around 3, y in steps of 1/8 around -5."""
    tflite = Tflite()
    w = tflite.constant(np.rint(WEIGHTS * 32).astype(np.int8))
    b = tflite.constant(np.rint(OFFSET * 16 * 32).astype(np.int32))
    tensors = {
        "x": (INT8, (1, 3), 0, (1 / 16, 3)),
        "w": (INT8, (2, 3), w, (1 / 32, 0)),
        "b": (INT32, (2,), b, (1 / 512, 0)),
        "y": (INT8, (1, 2), 0, (1 / 8, -5)),
    }
    tflite.subgraph(
        tensors, [(FULLY_CONNECTED, ["x", "w", "b"], ["y"], schema.FullyConnectedOptionsT())], ["x"], ["y"], "n1"
    )
    return tflite.bytes()


def linear_fake() -> bytes:
    model = {
        "schema_version": 1,
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 3]}],
        "outputs": [{"name": "y", "input": "x", "weights": WEIGHTS.T.tolist(), "offset": OFFSET.tolist()}],
    }
    return json.dumps(model, indent=2).encode() + b"\n"


FILES: dict[str, Callable[[], bytes]] = {
    "linear.onnx": linear_onnx,
    "two.onnx": two_onnx,
    "lookup.onnx": lookup_onnx,
    "nonzero.onnx": nonzero_onnx,
    "linear.tflite": lambda: linear_tflite((1, 4), signed=True),
    "bare.tflite": lambda: linear_tflite((2,), signed=False),
    "two.tflite": two_tflite,
    "lookup.tflite": lookup_tflite,
    "quantized.tflite": quantized_tflite,
    "linear.fake.json": linear_fake,
}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, make in FILES.items():
        (folder / name).write_bytes(make())
