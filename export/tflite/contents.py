"""The contents of a .tflite file: its first signature, which has the smallest sizes."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.reports.graph import TensorFacts
from edgekit.core.samples import Array
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.graphs.contents import Contents, Node, Weight, dequantized
from edgekit.export.graphs.front_end import front_end_of_tflite
from edgekit.export.graphs.tflite_file import names_in, read_file
from edgekit.export.tflite.work import holds_data, layers_of, work_of

if TYPE_CHECKING:
    from edgekit.export.graphs.tflite_types import ModelT, SignatureDefT, TensorT

# Types of the schema: name in numpy, and bits a value.
_TYPES: Final = {
    "FLOAT32": ("float32", 32),
    "FLOAT16": ("float16", 16),
    "INT32": ("int32", 32),
    "UINT8": ("uint8", 8),
    "INT64": ("int64", 64),
    "BOOL": ("bool", 8),
    "INT16": ("int16", 16),
    "INT8": ("int8", 8),
    "INT4": ("int4", 4),
}


def read_contents(path: Path, spec: ModelSpec) -> Contents:
    """The contents of the file.

    Raises:
        ModelUnreadable: It is not a TFLite model.
    """
    del spec
    return read_file(path, lambda model, schema: _read(model, schema, frozenset(front_end_of_tflite(path))))


def _read(model: ModelT, schema: ModuleType, front: frozenset[str]) -> Contents:
    operators = names_in(schema.BuiltinOperator)
    types = names_in(schema.TensorType)
    graph = model.subgraphs[0]
    nodes = []
    for one in graph.operators:
        code = model.operatorCodes[one.opcodeIndex]
        name = operators[max(code.builtinCode, code.deprecatedBuiltinCode)]
        nodes.append(Node(name, work_of(name, one, graph)))
    read = {index for one in graph.operators for index in one.inputs if index >= 0}
    made = {index for one in graph.operators for index in one.outputs} | set(graph.inputs)
    constants = [index for index in sorted(read - made) if holds_data(model, graph.tensors[index])]
    weights = [found for index in constants if (found := _weight(model, graph.tensors[index], types)) is not None]
    tensors = [_tensor(graph.tensors[index], types) for index in sorted(made)]
    layers, _ = layers_of(model, schema, front)
    signatures = tuple(_signature(one) for one in model.signatureDefs or ())
    return Contents(tuple(nodes), tuple(weights), tuple(tensors), tuple(layers), {}, signatures, _metadata(model))


def _signature(one: SignatureDefT) -> str:
    """`serving_default(x) -> logits`."""
    inputs, outputs = (
        ", ".join(part.name.decode(errors="replace") for part in side) for side in (one.inputs, one.outputs)
    )
    return f"{one.signatureKey.decode(errors='replace')}({inputs}) -> {outputs}"


def _metadata(model: ModelT) -> dict[str, str]:
    """The description and every entry; bytes that are no text are told by their number."""
    found = {"description": _text(model.description or b"")} if model.description else {}
    for one in model.metadata or ():
        data = model.buffers[one.buffer].data
        found[one.name.decode(errors="replace")] = _text(np.asarray([] if data is None else data, np.uint8).tobytes())
    return found


def _text(data: bytes) -> str:
    text = data.rstrip(b"\0").decode(errors="replace")
    return text if text.isprintable() else f"{len(data)} bytes"


def _weight(model: ModelT, tensor: TensorT, types: dict[int, str]) -> Weight | None:
    dtype, bits = _TYPES.get(types[tensor.type], (types[tensor.type].lower(), 8))
    shape = tuple(int(size) for size in tensor.shape)
    quantization = tensor.quantization
    scales = None if quantization is None or quantization.scale is None else np.asarray(quantization.scale)
    is_index = dtype in ("int32", "int64", "bool") and (scales is None or not scales.size)
    if is_index or not shape:
        return None  # shapes, orders of axes, lone factors
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8).tobytes()
    stored = math.ceil(math.prod(shape) * bits / 8)
    array = _unpacked(data, dtype, math.prod(shape)).reshape(shape)
    if quantization is not None and scales is not None and scales.size:
        zero = None if quantization.zeroPoint is None else np.asarray(quantization.zeroPoint)
        array = dequantized(array, scales, zero, quantization.quantizedDimension)
    return Weight(tensor.name.decode(errors="replace"), dtype, shape, stored, array)


def _unpacked(data: bytes, dtype: str, count: int) -> Array:
    if dtype != "int4":
        return np.frombuffer(data, dtype, count=count)
    pairs = np.frombuffer(data, np.uint8)
    low, high = (pairs & 15).astype(np.int8), (pairs >> 4).astype(np.int8)
    values = np.stack([low, high], axis=1).reshape(-1)[:count]
    return np.where(values > 7, values - 16, values).astype(np.int8)


def _tensor(tensor: TensorT, types: dict[int, str]) -> TensorFacts:
    dtype, bits = _TYPES.get(types[tensor.type], (types[tensor.type].lower(), 8))
    shape = tuple(int(size) for size in tensor.shape)
    size = math.ceil(math.prod(shape) * bits / 8)
    return TensorFacts(tensor.name.decode(errors="replace"), dtype, shape, size, False)
