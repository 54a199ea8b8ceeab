"""Compacts a .tflite file: short tensor names, and equal data stored once. Runs in the worker."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from types import ModuleType

    from edgekit.export.graphs.tflite_types import ModelT

_SEGMENT: Final = re.compile(r"^_*[^_]+_(?P<name>.+)$")
# What the schema asks of the data of a tensor, and its Python writer leaves out.
_ALIGNMENT: Final = 16
_IDENTIFIER: Final = b"TFL3"
# A single piece has offsets of 31 bits.
_LARGEST: Final = 1 << 30


def compact(path: Path, *, rename: bool = False) -> None:
    """Rewrite the file in place; one that is too large for a single flatbuffer is not changed.

    The converter calls a tensor by the Python classes of all modules behind it, 300 characters and more, and the
    quantizer writes the scales of a weight once for each signature: a quarter of `digits` in int8 was that.

    Args:
        rename: Name every tensor by its module and a number.
    """
    whole = read_whole(path)
    if whole is None:
        return
    model, _ = whole
    if rename:
        _rename(model)
    write_whole(model, path)


def read_whole(path: Path) -> tuple[ModelT, ModuleType] | None:
    """The content of a file that can be written again, and its schema; None where one flatbuffer cannot hold it."""
    schema = need("ai_edge_litert.schema_py_generated", extra="tflite")
    content = path.read_bytes()
    model: ModelT = schema.ModelT.InitFromPackedBuf(content, 0)
    if len(content) > _LARGEST or any(
        getattr(one, "largeCustomOptionsOffset", 0) for graph in model.subgraphs for one in graph.operators
    ):
        return None
    _take_in(model, content)
    return model, schema


def write_whole(model: ModelT, path: Path) -> None:
    """Write a model, equal data once."""
    builder = _builder(sum(len(one.data) for one in model.buffers if one.data is not None) + _ALIGNMENT)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    path.write_bytes(builder.Output())


def module_of(name: str) -> str:
    """The part of the network that the converter wrote into a tensor's name; empty where there is none.

    `features.3` out of `Named/Digits_module/torch.nn.Sequential_features/torch.nn.Conv2d_3;1`, and of `features.3;1`.
    """
    last = name.rpartition(";;")[2].partition(";")[0]
    if "/" in last:
        return ".".join(_parts(last))
    return last if ";" in name else ""


def _parts(text: str) -> Iterator[str]:
    for segment in text.split("/")[1:]:
        match = _SEGMENT.match(segment.rpartition(".")[2])
        if match and match["name"] != "module":
            yield match["name"]


def _rename(model: ModelT) -> None:
    """No two tensors of the file have one name: the quantizer keeps ranges by name."""
    numbers = count(1)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            name = tensor.name.decode(errors="replace")
            if "/" in name:
                tensor.name = f"{module_of(name) or 'tensor'};{next(numbers)}".encode()


def _take_in(model: ModelT, content: bytes) -> None:
    """Weights that follow the graph go into it, where equal ones are found."""
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def _builder(size: int) -> Any:
    class Builder(need("flatbuffers", extra="tflite").Builder):  # type: ignore[misc]  # the type check runs without it
        """Aligns the data of tensors, and writes equal vectors once."""

        def __init__(self, size: int) -> None:
            super().__init__(size)
            self._known: dict[tuple[str, bytes], int] = {}

        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803  # the base class has these names
            """Begin a vector; those of bytes are data."""
            return super().StartVector(elemSize, numElems, _ALIGNMENT if elemSize == 1 else alignment)

        def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802  # the base class has this name
            """Where a vector of these numbers is; written on first use."""
            key = (x.dtype.str, hashlib.sha256(x.tobytes()).digest())
            if key not in self._known:
                self._known[key] = int(super().CreateNumpyVector(x))
            return self._known[key]

    return Builder(size)
