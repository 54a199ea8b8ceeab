"""A .tflite that was exported elsewhere: run and copied as it is, and quantized if it is float. Runs in the worker."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edgekit.core.errors import ConversionFailed, ModelUnreadable
from edgekit.core.recipe import ATTENTION, LOG_SPECTRUM
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_file
from edgekit.core.system.optional import need
from edgekit.export.graphs.front_end import front_end_of_tflite
from edgekit.export.graphs.operators import onnx_name
from edgekit.export.messages import Converted, Described
from edgekit.export.shapes.signatures import signatures_of
from edgekit.export.tflite.exporter import read_back
from edgekit.runtime.backend import BACKENDS, Session, offered_sizes, stored_codes

if TYPE_CHECKING:
    from edgekit.export.graphs.tflite_types import ModelT, SignatureDefT, SubGraphT, TensorMapT

# A recurrent layer is unrolled into gates: this many of both functions are not a coincidence.
_GATES: Final = 4


BATCH: Final = "N"


class TfliteFile:
    """A .tflite file, run by LiteRT as it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._session: Session | None = None

    def describe(self) -> Described:
        """Tensors of its signatures; errors as in `ModelFile.describe`."""
        session = self._opened()
        opened: Any = session
        details = opened._engine.get_tensor_details()
        quantized = any(len(one["quantization_parameters"]["scales"]) for one in details)
        sizes = offered_sizes(session)
        codes, batch = stored_codes(session), opened.family.batch
        if sizes or not all(tensor.shape[:1] in ((1,), (batch,)) for tensor in (*session.inputs, *session.outputs)):
            return Described(session.inputs, session.outputs, quantized, sizes, codes)
        # A first axis of 1, or of any size, on every tensor is a batch: more samples run one after the other.
        return Described(_batched(session.inputs), _batched(session.outputs), quantized, {BATCH: (1,)}, codes)

    def run(self, spec: ModelSpec, feed: Feed) -> Feed:
        """Outputs by name."""
        with BACKENDS.get("litert")().open(self.path, {}, spec) as session:
            outputs: Feed = session.run(feed)
        return outputs

    def operators(self) -> frozenset[str]:
        """Operators by their ONNX names; unrolled recurrent layers and attention are recognized by their parts."""
        names = _operator_names(self.path)
        found = {onnx_name("tflite", name) or name for name in names}
        if min(names.count("TANH"), names.count("LOGISTIC")) >= _GATES:
            found.add("LSTM")
        if {"SOFTMAX", "BATCH_MATMUL"} <= set(names):
            found.add(ATTENTION)
        if front_end_of_tflite(self.path):
            found.add(LOG_SPECTRUM)
        return frozenset(found)

    def digest(self) -> str:
        """sha256 of the file."""
        return sha256_file(self.path)

    def _opened(self) -> Session:
        if self._session is None:
            self._session = BACKENDS.get("litert")().open(self.path, {}, None)
        return self._session


class TflitePassThrough:
    """Copies a .tflite file as it is."""

    def prepare(self) -> None:
        """Import LiteRT; there is nothing to convert."""
        need("ai_edge_litert.interpreter", extra="tflite")

    def export(self, module: TfliteFile, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        """Copy the file."""
        del feed
        if _signature_names(module.path) >= {signature.name for signature in signatures_of(spec)}:
            shutil.copyfile(module.path, out)
        else:
            out.write_bytes(_renamed(module.path, spec))
        try:
            return msgspec.structs.replace(read_back(out, spec), options={"exporter": "kept"})
        except ConversionFailed as err:
            raise ModelUnreadable(f"'{module.path}' does not have one signature per size: {err.message}") from err


def _signature_names(path: Path) -> set[str]:
    interpreter = need("ai_edge_litert.interpreter", extra="tflite").Interpreter(str(path), num_threads=1)
    return set(interpreter.get_signature_list())


def _renamed(path: Path, spec: ModelSpec) -> bytes:
    """The file with its entry points called after their sizes; one that has none gets one over its first graph."""
    files = need("ai_edge_quantizer.utils.tfl_flatbuffer_utils", extra="tflite-export")
    schema = need("ai_edge_litert.schema_py_generated", extra="tflite")
    model = files.read_model(str(path))
    if not model.signatureDefs:
        model.signatureDefs = [_first_graph(schema, model.subgraphs[0])]
    for signature in model.signatureDefs:
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        shapes = {entry.name.decode(): tuple(tensors[entry.tensorIndex].shape) for entry in signature.inputs}
        signature.signatureKey = _name_for(shapes, spec).encode()
    model.signatureDefs = [one for one in model.signatureDefs if one.signatureKey]
    _make_unique(model)
    builder = need("flatbuffers", extra="tflite").Builder(path.stat().st_size)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _make_unique(model: ModelT) -> None:
    """Tensors of one name in several graphs get numbers: the quantizer keeps their ranges by name."""
    seen: set[bytes] = set()
    for number, graph in enumerate(model.subgraphs):
        for place, tensor in enumerate(graph.tensors):
            if tensor.name in seen:
                tensor.name = f"{tensor.name.decode()}_{number}_{place}".encode()
            seen.add(tensor.name)


def _first_graph(schema: ModuleType, graph: SubGraphT) -> SignatureDefT:
    signature: SignatureDefT = schema.SignatureDefT()
    signature.subgraphIndex = 0
    signature.inputs = [_entry(schema, graph, index) for index in graph.inputs]
    signature.outputs = [_entry(schema, graph, index) for index in graph.outputs]
    return signature


def _name_for(shapes: dict[str, tuple[int, ...]], spec: ModelSpec) -> str:
    """The signature of these input shapes; empty where the spec has none."""
    wanted = ((one.name, {t.name: t.concrete(one.sizes) for t in spec.inputs}) for one in signatures_of(spec))
    return next((name for name, concrete in wanted if concrete == shapes), "")


def _entry(schema: ModuleType, graph: SubGraphT, index: int) -> TensorMapT:
    entry: TensorMapT = schema.TensorMapT()
    entry.name, entry.tensorIndex = graph.tensors[index].name, int(index)
    return entry


def _batched(tensors: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    return tuple(msgspec.structs.replace(tensor, shape=(BATCH, *tensor.shape[1:])) for tensor in tensors)


def _operator_names(path: Path) -> list[str]:
    interpreter = need("ai_edge_litert.interpreter", extra="tflite").Interpreter(str(path), num_threads=1)
    return [str(one["op_name"]) for one in interpreter._get_ops_details()]
