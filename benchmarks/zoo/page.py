"""Writes docs/zoo.md from the rows of the zoo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.zoo.judge import LARGEST_SHARE, LEAST_DB
from benchmarks.zoo.plain import RECIPES
from benchmarks.zoo.rows import FAULTS, TIMES, Row, read_faults, read_times

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
NEXT: Final = ("Next: [find the tensor where an artifact goes wrong](bisect.md)", "")


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    first = [row for row in rows if row.seed == 0]
    return "\n".join([*_head(first), *_summary(first), *_differing(first), *_nets(first), *_faults(), *_times(), *NEXT])
