"""What a network of the zoo costs: `edgekit export` of four artifacts against the two plain scripts, interleaved.

python -m benchmarks.zoo.times NAME ...        append a round per network to benchmarks/zoo/times.jsonl

Each side runs in fresh processes: edgekit in one command with an empty cache, the plain way in one script per format.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from benchmarks.zoo.ours import measured
from benchmarks.zoo.plain import steps
from benchmarks.zoo.prepared import load, prepare
from benchmarks.zoo.registry import nets
from benchmarks.zoo.rows import TIMES, Time, read_times

from edgekit.core.system.durable.owners import temporary_folder

RECIPES: Final = "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8"


def plain(name: str, kind: str) -> None:
    """The plain script of one format, in the folder of a prepared network."""
    net, folder = nets()[name], Path.cwd()
    with np.load(folder / "samples.npz") as stored:
        feeds = {one: stored[one] for one in stored.files}
    made = steps(load(name, 0, str(folder)), feeds, folder, net.int8)
    for recipe in (f"{kind}-fp32", f"{kind}-int8"):
        made[recipe]()


def timed(name: str, place: int) -> Time | None:
    """One round: first one side, then the other, in alternating order; None if a plain script breaks: it ends early."""
    with temporary_folder("edgekit-times-") as text:
        folder = Path(text)
        prepare(name, 0, folder)
        python = [sys.executable, "-m"]
        sides = {
            "plain": [[*python, "benchmarks.zoo.times", "--plain", name, kind] for kind in ("onnx", "tflite")],
            "ours": [
                [*python, "edgekit", "export", "net.py:net", "--samples", "samples.npz", "--to", RECIPES, "--quiet"]
            ],
        }
        costs = {}
        for side in sorted(sides, reverse=place % 2 == 1):
            runs = [measured(command, folder, 600) for command in sides[side]]
            if side == "plain" and any(run[0] for run in runs):
                return None
            costs[side] = (sum(run[2] for run in runs), max(run[3] for run in runs))
    load_now = round(os.getloadavg()[0], 1)
    return Time(name, place, *costs["ours"], *costs["plain"], load_now)


def main(arguments: list[str]) -> None:
    """Time what was named, or be the plain script."""
    if arguments[:1] == ["--plain"]:
        plain(*arguments[1:])
        return
    for name in arguments:
        place = sum(one.net == name for one in read_times()) + sum(map(ord, name))
        found = timed(name, place)
        if found is None:
            print(f"{name}: a plain script breaks, so its time is not comparable", flush=True)
            continue
        with TIMES.open("ab") as stream:
            stream.write(msgspec.json.encode(found) + b"\n")
        print(f"{name}: edgekit {found.seconds:.1f} s, plain {found.plain_seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
