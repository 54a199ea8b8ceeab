"""Mutations of values: bytes, texts, numbers, JSON documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any, Final

Path = tuple[str | int, ...]

WORDS: Final = (
    0,
    1,
    2,
    4,
    7,
    127,
    128,
    255,
    256,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x40000000,
)
INTEGERS: Final = (
    *(0, 1, -1, 2, 3, 5, 7, 16, 100, 1000, 65535, 10**6),
    *(2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)),
)
HUGE: Final = (2**63, 2**64, 10**30, -(10**30), 10**400)
NUMBERS: Final = (0.0, -0.0, 0.5, -1.5, 1e-320, 1e-9, 1e9, 1e18, 1e38, 1e308, -1e308, 3.999999)
TEXTS: Final = (
    *("", " ", "x", "N", "T", "a b", "a/b", "../../x", "/etc/passwd", "~/x", "C:\\x", "a\\..\\b", ".", "..", "con"),
    *("a\nb", "a\rb", "\x00", "a\x00b", "\x1b[31mred\x1b[0m", "\u202etxt", "\u2028", "caf\xe9", "\U0001f600", "\ufeff"),
    *("<script>alert(1)</script>", "$(touch PWN)", "`id`", "a'b\"c", "%s%n", "{0}", "{x.__class__}", "::error::x"),
    *("VERDICT: pass", "Hint: x", "-x", "--json", "nan", "inf", "-1", "1e999", "9" * 400, "x" * 300, "x" * 5000),
    *("float32", "int8", "int64", "str", "bool", "object", "complex64", "image", "text", "audio", "series", "array"),
    *(
        "onnx",
        "tflite",
        "fake",
        "classification",
        "regression",
        "onnx-fp32",
        "tflite-fp32",
        "onnx-int8",
        "manifest.json",
    ),
    *("samples.npz", "labels.txt", "cpu", "cuda", "local", "pass", "fail", "2026-01-01T00:00:00+00:00", "0" * 64),
)
KINDS: Final[tuple[Any, ...]] = (None, True, False, 0, -1, 1.5, "", "x", [], {}, [[]], [1], ["a"], {"a": 1}, [None])


def one_of(random: Random, choices: Sequence[Any]) -> Any:
    """One of them, or None where there is none."""
    return random.choice(choices) if choices else None


def flipped(random: Random, data: bytes) -> bytes:
    """Some bits are the other way round."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def worded(random: Random, data: bytes) -> bytes:
    """An aligned number of 1, 2, 4 or 8 bytes is a boundary."""
    found, size = bytearray(data), random.choice((1, 2, 4, 4, 4, 8))
    place = random.randrange(max(len(found) - size + 1, 1)) // size * size
    found[place : place + size] = random.choice(WORDS).to_bytes(8, "little")[:size]
    return bytes(found)


def cut(random: Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: random.randrange(len(data))]


def spliced(random: Random, data: bytes) -> bytes:
    """A piece is missing, twice there, or somewhere else."""
    start, length = random.randrange(len(data)), random.randrange(1, 64)
    piece, to = data[start : start + length], random.randrange(len(data))
    how = random.randrange(3)
    if how == 0:
        return data[:start] + data[start + length :]
    return data[:to] + piece + data[to + (len(piece) if how == 1 else 0) :]


BYTES: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (flipped, worded, worded, cut, spliced)


def mutated_bytes(random: Random, data: bytes) -> bytes:
    """Data with one to three changes that know nothing of its structure."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if data:
            data = random.choice(BYTES)(random, data)
    return data


def number(random: Random, like: Any = 0) -> Any:
    """An integer or a float, as `like` is one, from the boundaries or near to `like`."""
    if isinstance(like, float):
        return random.choice((*NUMBERS, -like, like * 10, like + 1e-7))
    near = int(like) + random.choice((-1, 1))
    return random.choice((*INTEGERS, near, near, -int(like), 2 * int(like)))


def text(random: Random, like: str = "", others: Sequence[str] = ()) -> str:
    """A text from those that mean something, from `others`, or `like` with a change."""
    how = random.random()
    if others and how < 0.5:
        return random.choice(others)
    if how < 0.75 or not like:
        return random.choice(TEXTS)
    place = random.randrange(len(like))
    return random.choice(
        (
            like[:place],
            like[place:],
            like + like[:1],
            like[:place] + random.choice(TEXTS)[:20] + like[place:],
            like.upper(),
        )
    )


def places(document: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value of a document, without the root."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def value_at(document: Any, path: Path) -> Any:
    """The value at a path."""
    for key in path:
        document = document[key]
    return document


def alter(random: Random, document: Any, changes: int = 1) -> Any:
    """The same document with so many of its values changed in place: most keep their type."""
    for _ in range(changes):
        if found := list(places(document)):
            _alter_one(random, document, random.choice(found), found)
    return document


def _alter_one(random: Random, document: Any, path: Path, all_places: Sequence[Path]) -> None:
    container, key, how = value_at(document, path[:-1]), path[-1], random.random()
    if how < 0.05:
        del container[key]
    elif how < 0.11:
        # What is elsewhere in the document: often right in its form, and wrong here.
        container[key] = json.loads(json.dumps(value_at(document, random.choice(all_places))))
    elif how < 0.16 and isinstance(container, list):
        container.insert(random.randrange(len(container) + 1), json.loads(json.dumps(random.choice(container))))
    elif how < 0.18 and isinstance(container, dict):
        container[random.choice((*TEXTS[:12], "schema_version", "x"))] = deepcopy(random.choice(KINDS))
    elif how < 0.22 and isinstance(container[key], list | dict) and container[key]:
        container[key] = type(container[key])()
    else:
        container[key] = other(random, container[key])


def other(random: Random, value: Any) -> Any:
    """Another value, most often of the same type."""
    if random.random() < 0.05:
        return deepcopy(random.choice(KINDS))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return random.choice(HUGE) if random.random() < 0.05 else number(random, value)
    if isinstance(value, str):
        return text(random, value)
    return deepcopy(random.choice(KINDS))


ODD_JSON: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    lambda random, data: data.replace(b"0", random.choice((b"NaN", b"1e999", b"-0", b"00", b"Infinity")), 1),
    lambda random, data: data.replace(b'"', b'"\\ud800', 1),
    lambda random, data: data.replace(b"{", b'{"x": ' + b"[" * 3000 + b"]" * 3000 + b",", 1),
    lambda random, data: data.replace(b"[", b"[" * 100_000, 1),
    lambda random, data: b"\xef\xbb\xbf" + data,
    lambda random, data: data.decode().encode("utf-16"),
    lambda random, data: data + data,
    lambda random, data: data.replace(b": ", b": " + b"9" * 5000 + b", ", 1),
    lambda random, data: data.replace(b'{"', b'{"schema_version": 99, "', 1),
)


def as_json(random: Random, document: Any) -> bytes:
    """A document as JSON, now and then as what a careful writer would not write."""
    data = json.dumps(document).encode("utf-8", "surrogatepass")
    how = random.random()
    if how < 0.05:
        return random.choice(ODD_JSON)(random, data)
    return mutated_bytes(random, data) if how < 0.1 else data
