"""The rows of benchmarks/qat/rows.jsonl, and the table of docs/qat.md that is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgekit.core.statistics.intervals import Interval, paired_drop

ROWS: Final = Path(__file__).with_name("rows.jsonl")
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "qat.md"
BEGIN, END = "<!-- table of benchmarks/qat -->\n", "<!-- end of the table -->"
# The smallest loss of which a share is given: a share of less means little.
_LARGE: Final = 0.02


class Row(msgspec.Struct, frozen=True):
    """One file on the test split: `right` has a bit per sample, in hexadecimal."""

    net: str
    training: str
    recipe: str = ""
    accuracy: float = 0.0
    samples: int = 0
    right: str = ""
    schema_version: int = 1

    def of(self, recipe: str, right: np.ndarray) -> Row:
        """The row of one file of this network and training, from one truth value per sample."""
        bits = np.packbits(right).tobytes().hex()
        return Row(self.net, self.training, recipe, float(right.mean()), len(right), bits)

    def correct(self) -> np.ndarray:
        """One truth value per sample."""
        return np.unpackbits(np.frombuffer(bytes.fromhex(self.right), np.uint8))[: self.samples].astype(bool)


def write_page() -> None:
    """Put the table of the rows into the page."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    table = "\n".join(table_of(read_rows()))
    PAGE.write_text(f"{before}{begin}{table}\n{end}{after}", encoding="utf-8")


def read_rows() -> list[Row]:
    """The rows so far; of several for one file the last counts."""
    found = [msgspec.json.decode(line, type=Row) for line in ROWS.read_bytes().splitlines()]
    return list({(row.net, row.training, row.recipe): row for row in found}.values())


def table_of(rows: Sequence[Row]) -> Iterator[str]:
    """A line for every network and format."""
    yield "| network | format | float32 | int8 | lost | trained with rounding | gain | loss closed |"
    yield "|---|---|---|---|---|---|---|---|"
    for net in dict.fromkeys(row.net for row in rows):
        for kind in ("onnx", "tflite"):
            found = {
                (row.training, row.recipe.endswith("fp32")): row
                for row in rows
                if row.net == net and row.recipe.startswith(kind)
            }
            if len(found) == 3:
                yield _line(net, kind, found[("plain", True)], found[("plain", False)], found[("rounding", False)])


def _line(net: str, kind: str, whole: Row, int8: Row, learned: Row) -> str:
    lost = paired_drop(whole.correct(), int8.correct())
    gain = paired_drop(learned.correct(), int8.correct())
    closed = f"{gain.value / lost.value:.0%}" if lost.value > _LARGE else ""
    shares = [f"{row.accuracy:.2%}".replace("%", " %") for row in (whole, int8, learned)]
    cells = [net, kind, shares[0], shares[1], _points(lost), shares[2], _points(gain), closed.replace("%", " %")]
    return f"| {' | '.join(cells)} |"


def _points(found: Interval) -> str:
    value, low, high = (100 * one for one in (found.value, found.low, found.high))
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
