"""The table of a soak: each quantity in the first and the last quarter, its slope, and whether it grew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

Row = dict[str, Any]
# What a median may rise by and still be level: a share of it, and in its own unit.
LEVEL: Final = {"MiB": (0.03, 4.0), "bytes": (0.02, 65536.0), "open files": (0.0, 1.0), "threads": (0.0, 1.0)}
# What docs/reliability.md shows: sums of quantities, by name and kind.
SHOWN: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "processes": ("", ("processes",)),
    "files here": ("files", ("project", "tmp", "cache", "home", "leases", "small")),
    "bytes here": ("bytes", ("project", "tmp", "cache", "home", "leases", "small")),
    "files outside of its folders": ("", ("stray files in shared folders",)),
    "files on the devices": ("files", ("desk-a", "desk-b", "pi", "phone")),
    "bytes on the devices": ("bytes", ("desk-a", "desk-b", "pi", "phone")),
    "memory of the program with sessions, MiB": ("MiB", ("library",)),
    "open files of the program with sessions": ("open files", ("library",)),
    "threads of the program with sessions": ("threads", ("library",)),
    "memory of the server for browsers, MiB": ("MiB", ("page",)),
    "open files of the server for browsers": ("open files", ("page",)),
    "threads of the server for browsers": ("threads", ("page",)),
    "memory of the stand-ins, MiB": ("MiB", ("desk-a", "desk-b", "pi", "harness and phone")),
    "open files of the stand-ins": ("open files", ("desk-a", "desk-b", "pi", "harness and phone")),
}


def read_rows(path: Path) -> list[Row]:
    """The rows of a file, in order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(rows: list[Row]) -> tuple[str, bool]:
    """The table as Markdown with the verdict below, and whether nothing grew and nothing was wrong."""
    lines = ["| quantity | first quarter | last quarter | slope per hour | |", "|---|---:|---:|---:|---|"]
    grown = []
    for name in rows[-1]["quantities"]:
        first, last, slope = _trend(rows, [row["quantities"].get(name, np.nan) for row in rows])
        is_level = last - first <= _allowed(name, first)
        if not is_level:
            grown.append(name)
        lines.append(f"| {name} | {first:.6g} | {last:.6g} | {slope:+.3g} | {'' if is_level else 'grows'} |")
    problems = [problem for row in rows for problem in row["problems"]]
    lines += ["", _faults(rows), f"problems: {len(problems)}, grown: {grown}"]
    return "\n".join(lines), not grown and not problems


def page(rows: list[Row]) -> str:
    """What docs/reliability.md says of the rows."""
    lines = ["| quantity | first quarter | last quarter | slope per hour |", "|---|---:|---:|---:|"]
    for label, (kind, names) in SHOWN.items():
        keys = [f"{name}: {kind}" if kind else name for name in names]
        sums = [sum(row["quantities"].get(key, np.nan) for key in keys) for row in rows]
        first, last, slope = _trend(rows, sums)
        digits = 1 if kind == "MiB" else 0
        lines.append(f"| {label} | {first:,.{digits}f} | {last:,.{digits}f} | {slope:+,.1f} |")
    return "\n".join([*lines, "", _faults(rows)])


def _faults(rows: list[Row]) -> str:
    """How long it took, how often it ran what, and how often which fault happened."""
    faults = Counter(row["fault"] for row in rows if row["fault"])
    commands = sum(1 + ("again" in row) for row in rows)
    each = ", ".join(f"{name} {count}" for name, count in faults.most_common())
    hours = f"{rows[-1]['at_s'] / 3600:.2f} hours"
    return f"{hours}, {len(rows)} rounds, {commands} commands, {faults.total()} faults: {each}."


def _trend(rows: list[Row], found: list[float]) -> tuple[float, float, float]:
    """Medians of the first and the last quarter of the time, and the slope of the least squares per hour."""
    hours, values = np.array([row["at_s"] for row in rows]) / 3600, np.array(found, dtype=float)
    known = ~np.isnan(values)
    hours, values = hours[known], values[known]
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    quarter = (hours[-1] - hours[0]) / 4
    first = float(np.median(values[hours <= hours[0] + quarter]))
    last = float(np.median(values[hours >= hours[-1] - quarter]))
    slope = float(np.polyfit(hours, values, 1)[0]) if np.ptp(values) > 0 else 0.0
    return first, last, slope


def _allowed(name: str, first: float) -> float:
    share, least = LEVEL.get(name.rpartition(": ")[2], (0.0, 0.0))
    return max(share * first, least)
