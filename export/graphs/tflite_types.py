"""What this package uses of the schema of TFLite, under the schema's names: its generated classes are untyped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edgekit.core.samples import Array


class QuantizationParametersT(Protocol):
    """How integers represent real values."""

    scale: Sequence[float] | None
    zeroPoint: Sequence[int] | None
    quantizedDimension: int


class TensorT(Protocol):
    """A tensor; `buffer` is the place of its data."""

    name: bytes
    shape: Sequence[int]
    type: int
    buffer: int
    quantization: QuantizationParametersT | None


class OperatorT(Protocol):
    """One operator; tensors are places in its graph, -1 for an input that is absent."""

    opcodeIndex: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    builtinOptions: object


class OperatorCodeT(Protocol):
    """A type of operator; old files have it in the second field."""

    builtinCode: int
    deprecatedBuiltinCode: int


class SubGraphT(Protocol):
    """One graph of a file."""

    operators: Sequence[OperatorT]
    tensors: Sequence[TensorT]
    inputs: Sequence[int]
    outputs: Sequence[int]


class TensorMapT(Protocol):
    """The name of an input or output."""

    name: bytes
    tensorIndex: int


class SignatureDefT(Protocol):
    """A way to call a graph by names."""

    signatureKey: bytes
    subgraphIndex: int
    inputs: Sequence[TensorMapT]
    outputs: Sequence[TensorMapT]


class BufferT(Protocol):
    """The data of a constant: in the graph, or behind it at an offset above 1."""

    data: Sequence[int] | Array | None
    offset: int
    size: int


class MetadataT(Protocol):
    """One entry of what the maker of a file says about it; `buffer` is the place of its data."""

    name: bytes
    buffer: int


class ModelT(Protocol):
    """A whole file."""

    subgraphs: Sequence[SubGraphT]
    operatorCodes: Sequence[OperatorCodeT]
    buffers: Sequence[BufferT]
    signatureDefs: Sequence[SignatureDefT] | None
    description: bytes | None
    metadata: Sequence[MetadataT] | None

    def Pack(self, builder: object) -> int:
        """Write it with a builder of flatbuffers; its place."""
