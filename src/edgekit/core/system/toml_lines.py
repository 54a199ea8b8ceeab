"""The line of a key in a TOML file: `tomllib` says what a file contains, but not in which line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Place = tuple[str | int, ...]


class _Statement(NamedTuple):
    """A header or a key with its value: its place in the document, its first line (from 1), and its lines."""

    place: Place
    line: int
    lines: tuple[str, ...]


def line_of(text: str, place: Place, value: str = "") -> int:
    """The line of a key, such as `("check", "models", 0, "budgets")`, counted from 1.

    Args:
        text: A valid TOML document.
        place: Keys and places in lists, from the outside in. A key that is not there has the line of what should hold
            it, and an empty document line 1.
        value: An element of the list at that key: the line in which it is written, if it is there as it is.
    """
    best = _Statement((), 1, ())
    for one in _statements(text):
        if one.place == place[: len(one.place)] and len(one.place) > len(best.place):
            best = one
    for number, line in enumerate(best.lines):
        if value and value in line:
            return best.line + number
    return best.line


def _statements(text: str) -> Iterator[_Statement]:
    """Every header and key, in order. A statement ends where its lines are a document of their own."""
    counts: dict[Place, int] = {}
    table: Place = ()
    lines, start = list[str](), 1
    for number, line in enumerate(text.splitlines(), start=1):
        if not lines:
            start = number
        lines.append(line)
        found = _parsed(lines)
        if found is None:
            continue
        inner = _innermost(found)
        if lines[0].lstrip().startswith("[") and inner:
            table = _of_header(inner, counts, is_list=lines[0].lstrip().startswith("[["))
            yield _Statement(table, start, tuple(lines))
        elif inner:
            yield _Statement((*table, *inner), start, tuple(lines))
        lines = []


def _parsed(lines: Sequence[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return None


def _innermost(found: Mapping[str, Any]) -> Place:
    """The keys of `a.b.c = 1` or `[a.b.c]`: tables of one key, from the outside in."""
    keys: list[str | int] = []
    inner: Any = found
    while isinstance(inner, dict) and len(inner) == 1:
        (key,) = inner
        keys.append(key)
        inner = inner[key]
    return tuple(keys)


def _of_header(keys: Place, counts: dict[Place, int], *, is_list: bool) -> Place:
    """The place of a table, with its number in each list of tables on the way."""
    place: Place = ()
    for position, key in enumerate(keys):
        place = (*place, key)
        is_last = position == len(keys) - 1
        if is_list and is_last:
            counts[place] = counts.get(place, -1) + 1
        if place in counts:
            place = (*place, counts[place])
    return place
