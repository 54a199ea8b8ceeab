"""An .onnx that was exported elsewhere: checked, run as it is, copied and simplified. Runs in the worker."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from graphlib import CycleError
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgekit.core.errors import ModelUnreadable, UserError
from edgekit.core.recipe import ATTENTION, LOG_SPECTRUM, STRINGS
from edgekit.core.refusals import refuse
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import DTYPES, Axis, TensorSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.files import sha256_file
from edgekit.core.system.optional import need
from edgekit.export.graphs.front_end import front_end_of_onnx
from edgekit.export.graphs.operators import Trait, named
from edgekit.export.messages import Converted, Described
from edgekit.export.onnx.exporter import read_back, save
from edgekit.export.onnx.nodes import name_apart, names_repeat, put_in_order
from edgekit.export.onnx.opsets import PER_CHANNEL, at_opset, is_newer, is_older, lowered, oldest, opset_of, written_out
from edgekit.export.onnx.widening import (
    computed_wider,
    narrow_borders,
    undefined,
    widened,
    wider,
    with_definitions,
    without_bfloat16,
)
from edgekit.export.shapes.kept_batch import refuse_kept_batch
from edgekit.export.torch.untraceable import first_line
from edgekit.runtime.backend import BACKENDS, Backend, Session

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import Dimension, GraphProto, ModelProto, ValueInfoProto

_QUANTIZED: Final = re.compile(r"Quantize|^QLinear|Integer$|^MatMulNBits$")
_PASSING: Final = named("onnx", Trait.PASSES)
_ATTENDING: Final = named("onnx", Trait.ATTENDS)
# What ONNX Runtime says about models that are valid, but that it cannot run.
_ENGINE: Final = {
    "missing-kernel": re.compile(
        r"Could not find an implementation|Failed to find kernel|not supported|NOT_IMPLEMENTED"
    ),
    "unknown-operator": re.compile(r"is not a registered function/op|Unrecognized attribute"),
}
# How it names the operator that it lacks.
_LACKING: Final = (
    re.compile(r"(?:implementation|kernel) for (\w+)\(\d+\)"),
    re.compile(r"[\w.]+:(\w+)\(-?\d+\) is not a registered"),
    re.compile(r"Unrecognized attribute: \w+ for operator (\w+)"),
    re.compile(r"of operator \((\w+)\) in node"),
    re.compile(r"of Optype \((\w+)\) bound to different types"),
    re.compile(r'In Node, \("[^"]*", (\w+),'),
)
# What the checker says of a file that ONNX Runtime runs.
_UNSORTED: Final = "topologically sorted"
# The last opset of which it has all operators that detectors use.
_COMPLETE: Final = 21
# What it says without the name of the operator.
_UNNAMED: Final = {
    "Batchwise recurrent operations": frozenset(("LSTM", "GRU", "RNN")),
    "Failed to construct locale": frozenset(("StringNormalizer",)),
}
_KINDS: Final = {
    "sequence_type": "sequence-type",
    "optional_type": "optional-type",
    "map_type": "map-type",
    "sparse_tensor_type": "sparse-type",
}


class OnnxFile:
    """An .onnx file, run by ONNX Runtime as it is, or, if that fails, with the `changes` it needs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._session: Session | None = None
        self._lacking: frozenset[str] = frozenset()

    def describe(self) -> Described:
        """Checked in full: structure, types, and the place of external data; errors as in `ModelFile.describe`."""
        model = read_graph(self.path)
        inputs = tuple(_tensor(value, self.path) for value in real_inputs(model))
        outputs = tuple(_tensor(value, self.path) for value in model.graph.output)
        if not inputs:
            raise refuse("no-inputs", f"'{self.path}'")
        _check(self.path)
        try:
            self._opened()
        except ModelUnreadable as err:
            code = next((code for code, words in _ENGINE.items() if words.search(err.message)), "")
            raise (refuse(code, f"'{self.path}'") if code else err) from err
        kinds = [node.op_type for node in model.graph.node]
        return Described(inputs, outputs, any(_QUANTIZED.search(kind) for kind in kinds))

    def run(self, spec: ModelSpec, feed: Feed) -> Feed:
        """Outputs by name; a file with a fixed batch runs row by row."""
        session = self._opened()
        rows = len(next(iter(feed.values()))) if spec.batch_axis else 1
        fixed = session.inputs[0].shape[0] if session.inputs[0].shape else None
        if spec.batch_axis is None or not isinstance(fixed, int) or fixed == rows:
            return session.run(feed)
        parts = [session.run({name: array[row : row + 1] for name, array in feed.items()}) for row in range(rows)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def operators(self) -> frozenset[str]:
        """Operator types, and `Softmax*MatMul` for attention."""
        graph = read_graph(self.path).graph
        found = {node.op_type for node in graph.node}
        attention = {ATTENTION} if _has_attention(graph) else set()
        spectrum = {LOG_SPECTRUM} if front_end_of_onnx(read_graph(self.path)) else set()
        borders = (*self._opened().inputs, *self._opened().outputs)
        strings = {STRINGS} if any(tensor.dtype == "str" for tensor in borders) else set()
        return frozenset({*found, *attention, *spectrum, *strings})

    def digest(self) -> str:
        """sha256 over the file and its external data."""
        whole = hashlib.sha256(self.path.read_bytes())
        for place in sorted(set(external_files(read_graph(self.path), self.path))):
            whole.update(sha256_file(place).encode())
        return whole.hexdigest()

    def model(self) -> ModelProto:
        """The model as ONNX Runtime runs it: operators that it lacks are replaced by their definition."""
        self._opened()
        return self._written_out()

    def changes(self) -> tuple[str, ...]:
        """How that model differs from the file: one sentence per change."""
        self._opened()
        narrow = narrow_borders(read_graph(self.path)).items()
        wide = [f"'{name}' is {kind} in the source; this artifact uses a wider type for it" for name, kind in narrow]
        defined = [
            f"ONNX Runtime does not support this {name}; it was replaced by its definition" for name in self._lacking
        ]
        return (*wide, *sorted(defined))

    def _opened(self) -> Session:
        first: ModelUnreadable | None = None
        while self._session is None:
            try:
                self._session = self._open()
            except ModelUnreadable as err:
                first = first or err
                lacking = self._lacking | _lacking(err.message)
                if lacking == self._lacking:
                    raise first from err
                self._lacking = lacking
        return self._session

    def _open(self) -> Session:
        backend: Backend = BACKENDS.get("onnxruntime")()
        graph = read_graph(self.path)
        if not (self._lacking or _needs_changes(graph)):
            return backend.open(self.path, {}, None)
        with temporary_folder() as folder:
            readable = Path(folder) / self.path.name
            need("onnx", extra="export").save(self._written_out(), str(readable))
            try:
                return backend.open(readable, {}, None)
            except ModelUnreadable as err:
                raise ModelUnreadable(err.message.replace(str(readable), str(self.path)), hint=err.hint) from err

    def _written_out(self) -> ModelProto:
        model = whole_model(self.path)
        model = _at_implemented(model, self._lacking)
        lacking = self._lacking | undefined(model)
        if not lacking:
            return model
        written = with_definitions(written_out(model, lacking), lacking)
        return oldest(computed_wider(written, self._lacking))


class OnnxPassThrough:
    """Copies an .onnx file, simplified where possible; its opset and operators remain as they are."""

    def prepare(self) -> None:
        """Import the simplifier; torch is not needed."""
        need("onnxslim", extra="export")

    def export(self, module: OnnxFile, spec: ModelSpec, feed: Feed, out: Path, *, opset: int = 0) -> Converted:
        """Write the file with the axes of the spec and its weights inside; in another opset if one is given."""
        simplifier = "onnxslim"
        warnings = module.changes()
        whole = _freed(module, spec)
        whole = at_opset(whole, opset) if opset else whole
        try:
            save(need("onnxslim", extra="export").slim(whole), out, spec)
        except Exception as err:  # noqa: BLE001  # the simplifier raises whatever its passes raise
            simplifier, warnings = "none", (*warnings, f"the graph was not simplified: {first_line(err)}")
            whole = _freed(module, spec)
            save(at_opset(whole, opset) if opset else whole, out, spec)
        if _frees_batch(module, spec):
            refuse_kept_batch(module.path, out, spec, feed)
        options: dict[str, str | int | float | bool] = {"exporter": "kept", "simplifier": simplifier}
        return msgspec.structs.replace(read_back(out, spec), options=options, warnings=warnings)


def read_graph(path: Path) -> ModelProto:
    """The model without its external data, its nodes in order.

    Raises:
        ModelUnreadable: It is not an ONNX model.
        Refused: External data outside the folder of the file.
    """
    onnx = need("onnx", extra="export")
    try:
        model: ModelProto = onnx.load(str(path), load_external_data=False)
    except Exception as err:
        raise ModelUnreadable(f"'{path}' is not an ONNX model: {first_line(err)}.") from err
    if not model.graph.node and not model.graph.output:
        raise ModelUnreadable(f"'{path}' is not an ONNX model: it has no graph.")
    for place in external_files(model, path):
        if not place.is_file():
            raise ModelUnreadable(f"'{path}' stores its weights in '{place.name}', which is not in the same folder.")
    try:
        put_in_order(model.graph)
    except CycleError as err:
        raise ModelUnreadable(f"'{path}' is not a valid ONNX model: nodes read each other in a circle.") from err
    return model


def whole_model(path: Path) -> ModelProto:
    """The model with its external data inside, no weight among its inputs, of an opset that ONNX Runtime reads, and
    with inputs and outputs that numpy arrays can hold."""
    onnx = need("onnx", extra="export")
    model = read_graph(path)
    onnx.load_external_data_for_model(model, str(path.parent))
    model = widened(lowered(model))
    if names_repeat(model.graph):
        name_apart(model.graph)
    kept = real_inputs(model)
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return oldest(model)


def _freed(module: OnnxFile, spec: ModelSpec) -> ModelProto:
    """The model with a dynamic axis wherever the spec has one; shapes that follow from it are inferred again."""
    model = module.model()
    shapes = {tensor.name: tensor.shape for tensor in spec.inputs}
    dims = [
        (dim, axis)
        for value in model.graph.input
        for dim, axis in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True)
        if isinstance(axis, str) and dim.dim_value
    ]
    for dim, axis in dims:
        dim.dim_param = axis
    if dims:
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
    return model


def _frees_batch(module: OnnxFile, spec: ModelSpec) -> bool:
    """Whether the user declared the batch of a file free that has a fixed one."""
    first = {value.name: value.type.tensor_type.shape.dim[:1] for value in real_inputs(read_graph(module.path))}
    return any(
        tensor.shape[:1] == (spec.batch_axis,) and first[tensor.name][0].dim_value > 0
        for tensor in spec.inputs
        if spec.batch_axis is not None and first.get(tensor.name)
    )


def real_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """Inputs that are fed: old files list their weights as inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def external_files(model: ModelProto, path: Path) -> Iterator[Path]:
    """The files with the external data of each tensor.

    Raises:
        Refused: A path that is absolute, or leaves the folder of the file by `..` or a link.
    """
    onnx = need("onnx", extra="export")
    folder = path.resolve().parent
    for tensor in onnx.external_data_helper._get_all_tensors(model):
        if not onnx.external_data_helper.uses_external_data(tensor):
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        place = folder / location
        if not location or not place.resolve().is_relative_to(folder) or place.is_symlink():
            raise refuse("external-path", f"'{path}' with the data '{location}' of '{tensor.name}'")
        yield place


def _check(path: Path) -> None:
    onnx = need("onnx", extra="export")
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as err:
        if _UNSORTED in str(err):
            _check_sorted(path)
            return
        raise ModelUnreadable(f"'{path}' is not a valid ONNX model: {first_line(err)}.") from err


def _check_sorted(path: Path) -> None:
    """The same for a file whose nodes are in another order than the standard demands."""
    onnx = need("onnx", extra="export")
    model = read_graph(path)
    onnx.load_external_data_for_model(model, str(path.parent))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as err:
        raise ModelUnreadable(f"'{path}' is not a valid ONNX model: {first_line(err)}.") from err


def _tensor(value: ValueInfoProto, path: Path) -> TensorSpec:
    onnx = need("onnx", extra="export")
    kind = value.type.WhichOneof("value") or "tensor_type"
    if kind in _KINDS:
        raise refuse(_KINDS[kind], f"'{value.name}' of '{path}'")
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        raise refuse("unknown-rank", f"'{value.name}' of '{path}'")
    dtype = onnx.TensorProto.DataType.Name(wider(tensor.elem_type) or tensor.elem_type).lower()
    dtype = {"float": "float32", "double": "float64", "string": "str"}.get(dtype, dtype)
    if dtype not in DTYPES:
        raise refuse("element-type", f"'{value.name}' ({dtype}) of '{path}'")
    shape = tuple(_axis(dim, value.name, place) for place, dim in enumerate(tensor.shape.dim))
    return TensorSpec(value.name, dtype, shape)


def _axis(dim: Dimension, name: str, place: int) -> Axis:
    """A size, or a name: the file's own where it is one, else after the tensor."""
    if dim.dim_value > 0:
        return int(dim.dim_value)
    text = dim.dim_param or (f"{name}_{place}" if place else "N")
    clean = re.sub(r"\W", "_", text)
    return clean if clean[:1].isalpha() or clean[:1] == "_" else f"axis_{clean}"


def _needs_changes(model: ModelProto) -> bool:
    """True if ONNX Runtime would not open the model, or not run it, for a reason that is known beforehand."""
    versions = is_newer(model) or is_older(model)
    return versions or bool(narrow_borders(model) or undefined(model)) or names_repeat(model.graph)


def _at_implemented(model: ModelProto, lacking: Collection[str]) -> ModelProto:
    """The model in an opset of which ONNX Runtime has the operators: raised from before 7, lowered from after 21."""
    if lacking:
        model = without_bfloat16(model)
    wanted = PER_CHANNEL if is_older(model) else _COMPLETE
    if not (is_older(model) or (lacking and opset_of(model) > _COMPLETE)):
        return model
    try:
        return at_opset(model, wanted)
    except UserError:
        return model


def _lacking(message: str) -> frozenset[str]:
    """The operators that ONNX Runtime says it lacks."""
    named = {name for words in _LACKING for name in words.findall(message)}
    others = [names for words, names in _UNNAMED.items() if words in message]
    return frozenset(named).union(*others)


def _has_attention(graph: GraphProto) -> bool:
    """True where a softmax reaches a matrix product through operators that only pass it on."""
    reached = {name for node in graph.node if node.op_type == "Softmax" for name in node.output}
    for node in graph.node:
        if reached.isdisjoint(node.input):
            continue
        if node.op_type in _ATTENDING:
            return True
        if node.op_type in _PASSING:
            reached.update(node.output)
    return False
