"""The table of a soak: each quantity in the first and the last quarter, its slope, and whether it grew."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

# What a median may rise by and still be level: a share of it, and in its own unit.
LEVEL: Final = {"MiB": (0.03, 4.0), "bytes": (0.02, 65536.0), "open files": (0.0, 1.0), "threads": (0.0, 1.0)}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, in order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(rows: list[dict[str, Any]]) -> tuple[str, bool]:
    """The table as Markdown with the verdict below, and whether nothing grew and nothing was wrong."""
    hours = np.array([row["at_s"] for row in rows]) / 3600
    lines = ["| quantity | first quarter | last quarter | slope per hour | |", "|---|---:|---:|---:|---|"]
    grown = []
    for name in rows[-1]["quantities"]:
        values = np.array([row["quantities"].get(name, np.nan) for row in rows], dtype=float)
        first, last, slope = _trend(hours, values)
        is_level = last - first <= _allowed(name, first)
        if not is_level:
            grown.append(name)
        lines.append(f"| {name} | {first:.6g} | {last:.6g} | {slope:+.3g} | {'' if is_level else 'grows'} |")
    problems = [problem for row in rows for problem in row["problems"]]
    faults = Counter(row["fault"] for row in rows if row["fault"])
    lines += ["", f"{hours[-1]:.2f} hours, {len(rows)} rounds, {faults.total()} with a fault: {dict(faults)}"]
    lines += [f"processor time: {rows[-1]['used_s']:.0f} s", f"problems: {len(problems)}, grown: {grown}"]
    return "\n".join(lines), not grown and not problems


def _trend(hours: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """Medians of the first and the last quarter of the time, and the slope of the least squares per hour."""
    known = ~np.isnan(values)
    hours, values = hours[known], values[known]
    first = float(np.median(values[hours <= hours[-1] / 4])) if (hours <= hours[-1] / 4).any() else float(values[0])
    last = float(np.median(values[hours >= hours[-1] * 3 / 4]))
    slope = float(np.polyfit(hours, values, 1)[0]) if np.ptp(values) > 0 else 0.0
    return first, last, slope


def _allowed(name: str, first: float) -> float:
    share, least = LEVEL.get(name.rpartition(": ")[2], (0.0, 0.0))
    return max(share * first, least)
