"""How long `edgekit --help` takes as a whole process, against `python -c pass` of the same interpreter.

Runs of both are interleaved, because the machine may be shared; the ratio is that of the medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.figures.figure_rows import record

ROUNDS = 21
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "edgekit --help": [sys.executable, "-m", "edgekit", "--help"],
    "edgekit build --help": [sys.executable, "-m", "edgekit", "build", "--help"],
    "edgekit list models": [sys.executable, "-m", "edgekit", "list", "models"],
}


def wall_s(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        wall_s(command)  # byte code and the file cache are warm afterwards
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            times[name].append(wall_s(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["python -c pass"]
    for name, median in medians.items():
        print(f"{name:22} {1e3 * median:6.1f} ms  {median / base:5.2f}x")
    ratio = medians["edgekit --help"] / base
    record("start.help", ratio, seconds=times)


if __name__ == "__main__":
    main()
