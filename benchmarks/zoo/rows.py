"""What the zoo found: a row per network, recipe and seed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

ROWS: Final = Path(__file__).with_name("rows.jsonl")


class Row(msgspec.Struct, frozen=True):
    """One network in one recipe.

    `verdict` is what edgekit says: `pass`, `fail`, `refused` or `broke`; `detail` its worst check or its message.
    `right` is the independent judgement of edgekit's file, and `plain` that of the plain file: `right`, `wrong` or
    `broke`. `db` is the least signal over noise of any output, `share` the largest difference as a share of the range.
    Seconds of the plain way are without its start and its imports.
    """

    net: str
    kind: str
    source: str
    recipe: str
    seed: int
    verdict: str
    made: str = ""
    detail: str = ""
    right: bool | None = None
    db: float | None = None
    share: float | None = None
    plain: str = ""
    plain_db: float | None = None
    plain_detail: str = ""
    parameters: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    plain_seconds: float = 0.0
    schema_version: int = 1


def read_rows(path: Path = ROWS) -> list[Row]:
    """The rows so far; of several for one cell the last counts."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    found = [msgspec.json.decode(line, type=Row) for line in lines]
    return list({(row.net, row.recipe, row.seed): row for row in found}.values())


def add_rows(rows: Iterable[Row], path: Path = ROWS) -> None:
    """Append rows, one line each."""
    with path.open("ab") as stream:
        for row in rows:
            stream.write(msgspec.json.encode(row) + b"\n")


def compact(path: Path = ROWS) -> None:
    """Rewrite the file with the rows that count, in the order of networks, recipes and seeds."""
    rows = sorted(read_rows(path), key=lambda row: (row.seed, row.source, row.kind, row.net, row.recipe))
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
