"""The results that are kept: a file a subject, a line a module, with the mutants that survived."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

ROWS: Final = Path(__file__).parent / "survivors"


class Survivor(msgspec.Struct):
    """A mutant that no test found: its lines before and after, and why that is right.

    `same` says that no caller can see the difference: the mutant is another way to write the module.
    """

    line: int
    was: str
    now: str
    outcome: str
    reason: str = ""
    same: bool = False


class Row(msgspec.Struct):
    """One module: all its mutants, how many were tried, and those that survived; one that had to be ended was found.

    `first` is the share that was found in the first run.
    """

    module: str
    mutants: int
    tried: int
    timed_out: int
    first: float
    survivors: list[Survivor]

    @property
    def same(self) -> int:
        """The survivors that do the same."""
        return sum(one.same for one in self.survivors)

    @property
    def found(self) -> int:
        """The tried mutants that the tests find."""
        return self.tried - len(self.survivors)


def read(subject: str) -> dict[str, Row]:
    """The rows of the subject by their module; none before its first run."""
    path = ROWS / f"{subject}.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return {row.module: row for row in (msgspec.json.decode(line, type=Row) for line in lines)}


def write(subject: str, row: Row) -> None:
    """Add the row, instead of the one that the module had."""
    rows = read(subject) | {row.module: row}
    ROWS.mkdir(exist_ok=True)
    text = b"".join(msgspec.json.encode(rows[module]) + b"\n" for module in sorted(rows))
    (ROWS / f"{subject}.jsonl").write_bytes(text)
