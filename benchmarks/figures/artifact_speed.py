"""How fast the .onnx files of edgekit are against those of plain scripts, in ONNX Runtime with one thread.

    python -m benchmarks.figures.artifact_speed [--nets unet,bilstm-tagger] [--openings 5]

Five networks of the zoo, of five kinds. Both files of a network run in one process in bare sessions, with blocks of
calls in turn and in an order that changes. Each opening makes new sessions, because the place of a session in memory
has an effect; a ratio is that of the fastest blocks of an opening, that of a network the median over openings. Where
the plain script gives no file, or edgekit's fails its checks, the pair is left out and named.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from benchmarks.figures.figure_rows import record
from benchmarks.runtime_overhead import bare_session
from benchmarks.zoo.ours import exported, measured
from benchmarks.zoo.plain import file_of
from benchmarks.zoo.prepared import one_of, prepare
from benchmarks.zoo.registry import nets

from edgekit.core.system.durable.owners import temporary_folder

NETS: Final = "unet,keypoints-simcc,kws-separable,masked-transformer,bilstm-tagger"
RECIPES: Final = ("onnx-fp32", "onnx-int8")
ROUNDS, BLOCK_S, LIMIT_S = 25, 0.02, 600.0

Ratios = dict[str, dict[str, list[float]]]
"""The ratio of each opening, by recipe and network: edgekit's time against the plain script's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=NETS)
    parser.add_argument("--openings", type=int, default=5)
    arguments = parser.parse_args()
    ratios: Ratios = {recipe: {} for recipe in RECIPES}
    for name in arguments.nets.split(","):
        with temporary_folder("edgekit-speed-") as folder:
            for recipe, files in pairs(name, Path(folder)):
                found = [ratio(files, feed_of(Path(folder)), seed) for seed in range(arguments.openings)]
                ratios[recipe][name] = found
                spread = f"{min(found):.3f} to {max(found):.3f}"
                print(f"{name} {recipe}: {statistics.median(found):.3f} of the plain file ({spread})", flush=True)
    if arguments.nets == NETS:
        for recipe, of_recipe in ratios.items():
            kept(recipe.removeprefix("onnx-"), of_recipe)


def kept(precision: str, ratios: Mapping[str, list[float]]) -> None:
    """Record the worst network, and how much faster all are in the mean."""
    middle = [statistics.median(found) for found in ratios.values()]
    record(f"artifact.{precision}_slowest", max(middle), ratios=ratios)
    record(f"artifact.{precision}_gain", 1 / statistics.geometric_mean(middle), ratios=ratios)


def pairs(name: str, folder: Path) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """The plain file and edgekit's for each recipe that gives both."""
    prepare(name, 0, folder)
    command = [sys.executable, "-m", "benchmarks.zoo.times", "--plain", name, "onnx"]
    code, *_ = measured(command, folder, LIMIT_S)
    ours = exported(nets()[name], folder, RECIPES, LIMIT_S)
    for recipe in RECIPES:
        plain, outcome = file_of(folder, recipe), ours[recipe]
        if plain.is_file() and outcome.path is not None and outcome.verdict == "pass":
            yield recipe, (plain, outcome.path)
        else:
            print(f"{name} {recipe}: left out; plain script exit {code}, edgekit {outcome.verdict}", flush=True)


def feed_of(folder: Path) -> dict[str, np.ndarray]:
    """The first sample of a prepared network."""
    with np.load(folder / "samples.npz") as stored:
        return one_of({name: stored[name] for name in stored.files}, 0)


def ratio(files: tuple[Path, Path], feed: dict[str, np.ndarray], seed: int) -> float:
    """edgekit's time against the plain file's, each the fastest of its blocks in new sessions."""
    order = random.Random(seed)
    sides = dict(zip(("plain", "edgekit"), (call_of(path, feed) for path in files), strict=True))
    count = max(1, round(BLOCK_S / max(block_s(call, 1) for call in sides.values())))
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS):
        for side in order.sample(list(sides), len(sides)):
            best[side] = min(best[side], block_s(sides[side], count) / count)
    return best["edgekit"] / best["plain"]


def call_of(path: Path, feed: dict[str, np.ndarray]) -> Callable[[], object]:
    """A call of a bare session that has run some times."""
    session = bare_session(str(path))
    wanted = {one.name for one in session.get_inputs()}
    named = {name: array for name, array in feed.items() if name in wanted}
    for _ in range(5):
        session.run(None, named)
    return lambda: session.run(None, named)


def block_s(call: Callable[[], object], count: int) -> float:
    """Seconds of so many calls."""
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
