"""Mutants of .tflite files: the tables of the schema with other fields, and flatbuffers with other offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from random import Random
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from benchmarks.fuzz.values import INTEGERS, NUMBERS, mutated_bytes, number, text

_WEIGHTS: Final = {"TensorT": 5, "OperatorT": 6, "SubGraphT": 3, "OperatorCodeT": 3, "QuantizationParametersT": 3}
_DEEPEST: Final = 12


@cache
def _operator_codes() -> tuple[int, ...]:
    return tuple(value for value in vars(schema.BuiltinOperator).values() if isinstance(value, int))


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the models with one to four fields of its tables changed, with other offsets, or with other bytes."""
    data, how = random.choice(seeds), random.random()
    if how < 0.08:
        return mutated_bytes(random, data)
    if how < 0.2:
        return _with_other_offsets(random, data)
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        _mutate(random, model, seeds)
    return _packed(model) or _with_other_offsets(random, data)


def _packed(model: Any) -> bytes:
    """The file of a model; empty for one that the schema cannot hold."""
    builder = flatbuffers.Builder(1024)
    try:
        builder.Finish(model.Pack(builder), b"TFL3")
    except Exception:  # noqa: BLE001 - the packer raises whatever its values lead to
        return b""
    return bytes(builder.Output())


def _with_other_offsets(random: Random, data: bytes) -> bytes:
    """Some of the words that lead to another place in the file lead elsewhere."""
    found = bytearray(data)
    words = [
        place
        for place in range(0, len(data) - 3, 4)
        if 0 < int.from_bytes(data[place : place + 4], "little") < len(data) - place
    ]
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.choice(words)
        near = int.from_bytes(found[place : place + 4], "little") + random.choice((-8, -4, -1, 1, 2, 4, 8))
        value = random.choice((near, random.randrange(len(data)), *INTEGERS[:9], 2**31 - 1, 2**31, 2**32 - 1))
        found[place : place + 4] = (value % 2**32).to_bytes(4, "little")
    return bytes(found)


def _mutate(random: Random, model: Any, seeds: Sequence[bytes]) -> None:
    tables = list(_tables(model))
    kinds = sorted({type(one).__name__ for one in tables})
    kind = random.choices(kinds, [_WEIGHTS.get(name, 2 if name.endswith("OptionsT") else 1) for name in kinds])[0]
    table = random.choice([one for one in tables if type(one).__name__ == kind])
    if not vars(table):
        return
    name = random.choice(sorted(vars(table)))
    value = getattr(table, name)
    if name in ("builtinCode", "deprecatedBuiltinCode"):
        setattr(table, name, random.choice(_operator_codes()))
    elif random.random() < 0.1 and _is_table(value):
        other = schema.ModelT.InitFromPackedBuf(random.choice(seeds), 0)
        found = [one for one in _tables(other) if type(one) is type(value)]
        setattr(table, name, random.choice(found) if found else None)
    else:
        setattr(table, name, _changed(random, value, name))


def _is_table(value: Any) -> bool:
    return bool(type(value).__module__ == schema.__name__)


def _tables(table: Any, depth: int = 0) -> Iterator[Any]:
    """The table and all below it."""
    yield table
    if depth < _DEEPEST:
        for value in vars(table).values():
            for one in value if isinstance(value, list) else (value,):
                if _is_table(one):
                    yield from _tables(one, depth + 1)


def _changed(random: Random, value: Any, name: str) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | np.integer):
        is_small = name.lower().endswith(("type", "padding", "function", "version", "index", "buffer"))
        return random.choice(range(-1, 24)) if is_small and random.random() < 0.7 else int(number(random, int(value)))
    if isinstance(value, float):
        return random.choice((*NUMBERS[:8], float("nan"), float("inf"), -value))
    if isinstance(value, bytes | str):
        return text(random, value.decode(errors="replace") if isinstance(value, bytes) else value)
    if isinstance(value, np.ndarray):
        return _array(random, value, name)
    if isinstance(value, list):
        return _list(random, value, name)
    if value is None:
        return random.choice((None, [], [0], [1, 2], np.array([0, -1, 1], np.int32)))
    return None


def _array(random: Random, value: Any, name: str) -> Any:
    found, how = value.copy(), random.random()
    if not len(found) or how < 0.1:
        return np.append(found, found[:1] if len(found) else [0]).astype(found.dtype)
    if how < 0.2:
        return found[: random.randrange(len(found))]
    if found.dtype == np.uint8 and name == "data" and how < 0.6:
        return np.frombuffer(mutated_bytes(random, found.tobytes()), np.uint8)
    place = random.randrange(len(found))
    new = random.choice(NUMBERS[:8]) if found.dtype.kind == "f" else number(random, int(found[place]))
    with np.errstate(all="ignore"):
        found[place] = np.array(new).astype(found.dtype)
    return found


def _list(random: Random, value: list[Any], name: str) -> list[Any]:
    found, how = list(value), random.random()
    if not found:
        return [0]
    place = random.randrange(len(found))
    if how < 0.25:
        del found[place]
    elif how < 0.4:
        found.insert(place, random.choice(found))
    elif how < 0.55:
        random.shuffle(found)
    elif not _is_table(found[place]):
        found[place] = _changed(random, found[place], name)
    return found
