"""Mutants of .onnx files: valid protobuf whose fields are wrong, found by the descriptors of the messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from random import Random
from typing import Any, Final

import onnx
from benchmarks.fuzz.values import INTEGERS, NUMBERS, mutated_bytes, number, text
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]  # has no stubs
from onnx import AttributeProto, TensorProto

# Messages that hold most of the meaning are chosen more often than their number says.
_WEIGHTS: Final = {"NodeProto": 6, "AttributeProto": 6, "TensorProto": 5, "ValueInfoProto": 3, "Dimension": 4}
_DEEPEST: Final = 40
_FLOATS: Final = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


@cache
def operators() -> tuple[str, ...]:
    """The names of all operators of ONNX, and some of other domains."""
    found = {schema.name for schema in onnx.defs.get_all_schemas()}
    return (*sorted(found), "FusedConv", "QLinearAdd", "Attention", "PythonOp", "Evil\nVERDICT: pass")


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the models with one to four fields changed, or now and then with bytes changed."""
    data = random.choice(seeds)
    if random.random() < 0.08:
        return mutated_bytes(random, data)
    model = onnx.load_model_from_string(data)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        _mutate(random, model, seeds)
    made: bytes = model.SerializeToString()
    return made


def _mutate(random: Random, model: Any, seeds: Sequence[bytes]) -> None:
    messages = list(_messages(model))
    kinds = sorted({type(one).__name__ for one in messages})
    kind = random.choices(kinds, [_WEIGHTS.get(name, 1) for name in kinds])[0]
    message = random.choice([one for one in messages if type(one).__name__ == kind])
    if kind == "NodeProto" and random.random() < 0.3:
        message.op_type = random.choice(operators())
        return
    if random.random() < 0.12:
        _cross(random, message, onnx.load_model_from_string(random.choice(seeds)))
        return
    field = _chosen(random, message)
    if field.is_repeated:
        _change_repeated(random, message, field, _names(messages))
    elif field.message_type is not None:
        message.ClearField(field.name)
    else:
        _set(random, message, field, _names(messages))


def _messages(message: Any, depth: int = 0) -> Iterator[Any]:
    """The message and all below it."""
    yield message
    if depth < _DEEPEST:
        for field, value in message.ListFields():
            if field.message_type is not None:
                for one in value if field.is_repeated else (value,):
                    yield from _messages(one, depth + 1)


def _names(messages: Sequence[Any]) -> list[str]:
    """The names of tensors, axes and functions in the model."""
    nodes = [one for one in messages if type(one).__name__ == "NodeProto"]
    named = [one.name for one in messages if type(one).__name__ in ("ValueInfoProto", "TensorProto", "FunctionProto")]
    return [*named, *(name for node in nodes for name in (*node.input, *node.output)), ""]


def _chosen(random: Random, message: Any) -> Any:
    """A field that is set, or now and then any other of the message."""
    present = [field for field, _ in message.ListFields()]
    return random.choice(present if present and random.random() < 0.8 else message.DESCRIPTOR.fields)


def _cross(random: Random, message: Any, other: Any) -> None:
    """Make the message a copy of one of the same kind in another model."""
    if found := [one for one in _messages(other) if type(one) is type(message)]:
        message.CopyFrom(random.choice(found))


def _change_repeated(random: Random, message: Any, field: Any, names: Sequence[str]) -> None:
    values = getattr(message, field.name)
    how = random.random()
    if len(values) and how < 0.25:
        del values[random.randrange(len(values))]
    elif len(values) and how < 0.4:
        copies = list(values)
        random.shuffle(copies)
        message.ClearField(field.name)
        getattr(message, field.name).extend(copies)
    elif field.message_type is not None:
        values.extend([random.choice(values)] if len(values) else [values.add()])
    elif len(values) and how < 0.85:
        place = random.randrange(len(values))
        values[place] = _value(random, field, values[place], names)
    else:
        values.append(_value(random, field, None, names))


def _set(random: Random, message: Any, field: Any, names: Sequence[str]) -> None:
    if random.random() < 0.08:
        message.ClearField(field.name)
        return
    try:
        setattr(message, field.name, _value(random, field, getattr(message, field.name), names, type(message).__name__))
    except ValueError:  # an enumeration that is closed
        message.ClearField(field.name)


def _value(random: Random, field: Any, like: Any, names: Sequence[str], of: str = "") -> Any:
    """Another value for a field."""
    if field.cpp_type in _FLOATS:
        return random.choice((*NUMBERS, float("nan"), float("inf"))) if random.random() < 0.9 else 1e-3
    if field.cpp_type in _INTEGERS:
        low, high = _INTEGERS[field.cpp_type]
        if field.name in ("elem_type", "data_type"):
            return random.choice(range(-1, 30))
        if field.name in ("ir_version", "version") and random.random() < 0.7:
            return random.choice(range(30))
        return min(max(int(number(random, like or 0)), low), high)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        kinds = AttributeProto.AttributeType.values() if of == "AttributeProto" else TensorProto.DataType.values()
        return random.choice(kinds)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return not like
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(random, like or b"")
    return text(random, like or "", names)


def _bytes(random: Random, like: bytes) -> bytes:
    """Raw data of the right or of a wrong length, or a text that is not UTF-8."""
    how = random.random()
    if like and how < 0.5:
        size = len(like) // 8 * 8
        whole = b"".join((random.choice(INTEGERS) % 2**64).to_bytes(8, "little") for _ in range(min(size // 8, 64)))
        return (whole + like)[: len(like)]
    return random.choice((b"", b"\xff\xfe\x80A", random.randbytes(16), like + like, like[:-1], like[:1]))
