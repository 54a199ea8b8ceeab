"""The table of a campaign: false verdicts, undecided ones and what was found, of edgekit and of the usual ways."""

from __future__ import annotations

import argparse
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

from scipy.stats import mannwhitneyu

from edgekit.core.statistics.intervals import direction, ratio_interval

Row = dict[str, Any]
HERE = Path(__file__).parent
RUNS = 100


def edgekit(row: Row) -> str:
    return str(row["says"])


def plain(row: Row) -> str:
    """8 + 8 interleaved launches, their medians, a paired interval, 3 %; no repeats, no core, no second look."""
    a, b = ([median(launch) for launch in row[side]] for side in ("a_ns", "b_ns"))
    return direction(ratio_interval(a, b, paired=True))


def means(row: Row) -> str:
    """The mean of 100 runs of one process each; 3 % is a difference."""
    a, b = (mean(row[side][0][:RUNS]) for side in ("a_ns", "b_ns"))
    return "slower" if b / a > 1.03 else "faster" if a / b > 1.03 else "equal"


def pooled(row: Row) -> str:
    """Mann-Whitney's test at 5 % on all values of 8 + 8 launches in one pot."""
    a, b = ([value for launch in row[side] for value in launch] for side in ("a_ns", "b_ns"))
    if mannwhitneyu(a, b).pvalue >= 0.05:
        return "equal"
    return "slower" if median(b) > median(a) else "faster"


def benchmark_action(row: Row) -> str:
    """The default alarm of github-action-benchmark: 200 % of the run before."""
    return "slower" if mean(row["b_ns"][0]) > 2 * mean(row["a_ns"][0]) else "equal"


METHODS: dict[str, Callable[[Row], str]] = {
    "edgekit compare": edgekit,
    "plain 8 + 8": plain,
    "means of 100 runs": means,
    "pooled Mann-Whitney": pooled,
    "github-action-benchmark": benchmark_action,
}
CELLS = (("same", False), ("same", True), ("slower", False), ("slower", True))


def read(path: Path) -> str:
    """A finished campaign is kept compressed."""
    packed = path.with_name(f"{path.name}.xz")
    return path.read_text() if path.is_file() else lzma.decompress(packed.read_bytes()).decode()


def line(name: str, method: Callable[[Row], str], rows: list[Row]) -> str:
    parts = []
    for kind, busy in CELLS:
        said = [method(row) for row in rows if (row["kind"], row["busy"]) == (kind, busy)]
        if kind == "same":
            false = said.count("slower") + said.count("faster")
            parts.append(f"{false} false, {said.count('inconclusive')} open of {len(said)}")
        else:
            parts.append(f"{said.count('slower')} of {len(said)}")
    return f"| {name} | {' | '.join(parts)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, default=HERE / "rows.jsonl")
    rows = [json.loads(text) for text in read(parser.parse_args().rows).splitlines()]
    head, rows = rows[0], rows[1:]
    print(f"{head['cpu']}, {head['cores']} cores, {head['target']}, median {1e6 * head['median_s']:.0f} µs\n")
    print("| method | same, quiet | same, busy | +5 % found, quiet | +5 % found, busy |")
    print("|---|---|---|---|---|")
    for name, method in METHODS.items():
        print(line(name, method, rows))
    for busy in (False, True):
        walls = [row["wall_s"] for row in rows if row["busy"] is busy]
        if walls:
            print(f"\n{'busy' if busy else 'quiet'}: median {median(walls):.1f} s, longest {max(walls):.1f} s")


if __name__ == "__main__":
    main()
