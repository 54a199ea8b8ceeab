"""What the zoo found: a row per network, recipe and seed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

ROWS: Final = Path(__file__).with_name("rows.jsonl")
FAULTS: Final = Path(__file__).with_name("faults.jsonl")
TIMES: Final = Path(__file__).with_name("times.jsonl")


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


def merged(rows: Iterable[Row], beside: Iterable[Row]) -> list[Row]:
    """The rows with what others say of the plain way."""
    known = {(row.net, row.recipe, row.seed): row for row in beside if row.plain}
    fields = ("plain", "plain_db", "plain_detail", "plain_seconds")
    return [
        msgspec.structs.replace(row, **{field: getattr(found, field) for field in fields})
        for row in rows
        if (found := known.get((row.net, row.recipe, row.seed))) is not None
    ]


def compact(path: Path = ROWS) -> None:
    """Rewrite the file with the rows that count, in the order of networks, recipes and seeds."""
    rows = sorted(read_rows(path), key=lambda row: (row.seed, row.source, row.kind, row.net, row.recipe))
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


class Fault(msgspec.Struct, frozen=True):
    """What `edgekit validate` says of a network with a planted fault, or of one without (`fault` is then empty).

    `caught` is true if a check failed; `db` is the least signal over noise of the checks that did.
    """

    net: str
    fault: str
    format: str
    exit_code: int
    caught: bool
    db: float | None = None
    reason: str = ""


class Time(msgspec.Struct, frozen=True):
    """One round of one network: `edgekit export` of four artifacts against the two plain scripts, in seconds and MB."""

    net: str
    round: int
    seconds: float
    peak_mb: float
    plain_seconds: float
    plain_peak_mb: float
    load: float


def read_faults(path: Path = FAULTS) -> list[Fault]:
    """Every planted fault."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    found = [msgspec.json.decode(line, type=Fault) for line in lines]
    return list({(one.net, one.fault): one for one in found}.values())


def read_times(path: Path = TIMES) -> list[Time]:
    """Every round that was timed."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [msgspec.json.decode(line, type=Time) for line in lines]


def add_fault(fault: Fault, path: Path = FAULTS) -> None:
    """Append a fault; of several lines for one the last counts."""
    with path.open("ab") as stream:
        stream.write(msgspec.json.encode(fault) + b"\n")
