"""Figures of campaigns that take hours, from the rows which they left in the repository."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.figures.figure_rows import ROOT, FigureRow, commit_of

GATE: Final = ROOT / "benchmarks" / "gate"
TUNING: Final = ROOT / "benchmarks" / "tuning" / "rows.jsonl"
ZOO_TIMES: Final = ROOT / "benchmarks" / "zoo" / "times.jsonl"

Found = dict[str, tuple[float, dict[str, Any]]]
"""The value of each figure, and the raw values that it was computed from."""


def stored() -> Iterator[FigureRow]:
    """A row for each figure of a campaign, with the commit and the day of the file that has its rows."""
    for path, figures in CAMPAIGNS.items():
        named, day = commit_of(path)
        for key, (value, raw) in figures(path).items():
            yield FigureRow(key, value, raw, named, day, str(raw.pop("machine", "")))


def comparisons(path: Path) -> Found:
    """False verdicts, and regressions found, of the campaign of `compare`."""
    head, *rows = _lines(path)
    same = [row["says"] for row in rows if row["kind"] == "same"]
    slower = [row["says"] for row in rows if row["kind"] == "slower"]
    place = {"machine": f"{head['cpu']}, {head['cores']} cores"}
    false = same.count("slower") + same.count("faster")
    return {
        "compare.false": (false, {"of": len(same), **place}),
        "compare.found": (slower.count("slower"), {"of": len(slower), **place}),
    }


def two_threads(path: Path) -> Found:
    """Regressions found with two threads next to a busy process."""
    head, *rows = _lines(path)
    busy = [row["says"] for row in rows if row["kind"] == "slower" and row["busy"]]
    place = {"machine": f"{head['cpu']}, {head['cores']} cores"}
    return {"compare.found_2_threads": (busy.count("slower"), {"of": len(busy), **place})}


def tuning(path: Path) -> Found:
    """How near `tune` comes to the best of seven models, and what its choices gain."""
    rows = [row for row in _lines(path) if row["target"] == "local"]
    behind = {row["model"]: row["chosen_s"] / row["best_s"] for row in rows}
    gains = {row["model"]: row["default_s"] / row["chosen_s"] for row in rows}
    shares = {row["model"]: 100 * row["launches"] / row["exhaustive"] for row in rows}
    found: dict[str, tuple[float, dict[str, float]]] = {
        "tune.near_best": (sum(ratio <= 1.05 for ratio in behind.values()), behind),
        "tune.launches": (max(shares.values()), shares),
        "tune.least_gain": (min(gains.values()), gains),
        "tune.gain": (statistics.geometric_mean(gains.values()), gains),
    }
    return {key: (value, {**raw, "machine": rows[0]["device"]}) for key, (value, raw) in found.items()}


def zoo_times(path: Path) -> Found:
    """The median ratio of exports and plain scripts; of several rounds of a network the median counts."""
    ratios: dict[str, list[float]] = {}
    for row in _lines(path):
        ratios.setdefault(row["net"], []).append(row["seconds"] / row["plain_seconds"])
    return {"export.time_zoo": (statistics.median(map(statistics.median, ratios.values())), dict(ratios))}


def _lines(path: Path) -> list[dict[str, Any]]:
    from benchmarks.gate.summary import read

    return [json.loads(line) for line in read(path.with_suffix("") if path.suffix == ".xz" else path).splitlines()]


CAMPAIGNS: Final[dict[Path, Callable[[Path], Found]]] = {
    GATE / "rows.jsonl.xz": comparisons,
    GATE / "rows-2-threads.jsonl.xz": two_threads,
    TUNING: tuning,
    ZOO_TIMES: zoo_times,
}
