"""What this package uses of the messages of ONNX, under ONNX's names: the package itself is optional, and untyped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar, overload

T = TypeVar("T")


class Repeated(Protocol[T]):
    """A repeated field, which is changed in place."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[T]: ...
    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __setitem__(self, place: int, value: T) -> None: ...
    def __delitem__(self, place: int | slice) -> None: ...
    def __contains__(self, value: object) -> bool: ...
    def add(self) -> T:
        """A new element at the end."""

    def append(self, value: T) -> None:
        """Put a copy of `value` at the end."""

    def extend(self, values: Iterable[T]) -> None:
        """Put copies of `values` at the end."""

    def remove(self, value: T) -> None:
        """Leave out the first element that equals `value`."""


class Dimension(Protocol):
    """A size, or the name of a dynamic axis."""

    dim_param: str
    dim_value: int

    def Clear(self) -> None:
        """Unset both."""

    def HasField(self, name: str) -> bool:
        """Whether that field is set."""


class TensorShapeProto(Protocol):
    """The axes of a tensor."""

    @property
    def dim(self) -> Repeated[Dimension]:
        """One entry per axis."""


class TensorTypeProto(Protocol):
    """Element type and shape."""

    elem_type: int

    @property
    def shape(self) -> TensorShapeProto:
        """Empty if it is not known: see `HasField`."""

    def HasField(self, name: str) -> bool:
        """Whether that field is set."""

    def ClearField(self, name: str) -> None:
        """Unset it."""


class TypeProto(Protocol):
    """What a value is: a tensor, or something else."""

    @property
    def tensor_type(self) -> TensorTypeProto:
        """Its type where it is a tensor."""

    def WhichOneof(self, name: str) -> str | None:
        """The kind of value that is set."""


class ValueInfoProto(Protocol):
    """A tensor's name and type."""

    name: str

    @property
    def type(self) -> TypeProto:
        """Its type."""


class TensorProto(Protocol):
    """A constant."""

    name: str
    data_type: int
    dims: Sequence[int]

    def CopyFrom(self, other: TensorProto) -> None:
        """Become equal to `other`."""


class AttributeProto(Protocol):
    """An option of a node."""

    name: str
    i: int

    @property
    def t(self) -> TensorProto:
        """The constant that it holds, empty for other options."""

    def HasField(self, name: str) -> bool:
        """Whether that field is set."""

    @property
    def g(self) -> GraphProto:
        """The graph that it holds, empty for other options."""

    @property
    def graphs(self) -> Repeated[GraphProto]:
        """The graphs that it holds."""


class NodeProto(Protocol):
    """One operator."""

    name: str
    op_type: str
    domain: str

    def CopyFrom(self, other: NodeProto) -> None:
        """Become equal to `other`."""

    @property
    def input(self) -> Repeated[str]:
        """What it reads; an empty name is an input that is left out."""

    @property
    def output(self) -> Repeated[str]:
        """What it makes."""

    @property
    def attribute(self) -> Repeated[AttributeProto]:
        """Its options."""


class GraphProto(Protocol):
    """Nodes in order, constants, and the borders."""

    @property
    def node(self) -> Repeated[NodeProto]:
        """The operators."""

    @property
    def initializer(self) -> Repeated[TensorProto]:
        """The constants."""

    @property
    def input(self) -> Repeated[ValueInfoProto]:
        """Inputs; old files list constants as well."""

    @property
    def output(self) -> Repeated[ValueInfoProto]:
        """Outputs."""

    @property
    def value_info(self) -> Repeated[ValueInfoProto]:
        """Types of tensors inside."""


class OperatorSetIdProto(Protocol):
    """The version of one set of operators."""

    domain: str
    version: int


class StringStringEntryProto(Protocol):
    """A key and its value."""

    key: str
    value: str


class FunctionProto(Protocol):
    """An operator that the file itself defines."""

    @property
    def node(self) -> Repeated[NodeProto]:
        """What it computes."""


class ModelProto(Protocol):
    """A whole file."""

    ir_version: int

    @property
    def graph(self) -> GraphProto:
        """What it computes."""

    @property
    def opset_import(self) -> Repeated[OperatorSetIdProto]:
        """The sets of operators that it is written in."""

    @property
    def metadata_props(self) -> Repeated[StringStringEntryProto]:
        """What its exporter says about it."""

    @property
    def functions(self) -> Repeated[FunctionProto]:
        """Its own operators."""

    def SerializeToString(self) -> bytes:
        """The file's content."""
