"""How often `edgekit compare` is wrong, and what it finds: comparisons of cifar-resnet8 with itself, and with itself
slowed by 5 %, on a quiet machine and beside a busy process.

    python benchmarks/gate/campaign.py            # all 140 comparisons, one row each in rows.jsonl
    python benchmarks/gate/campaign.py --most 4   # the next four
    python benchmarks/gate/summary.py             # the table

A row is written as soon as its comparison ends; a later call goes on with the ones that are missing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from edgekit.core.measurement import Measurement
from edgekit.core.reports.comparison import ComparisonReport
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.devices import local
from edgekit.flows.compare import compare
from edgekit.flows.profile import profile

HERE = Path(__file__).parent
WAIT_FILE = "busy_wait_s"  # the name that slowed_launch.py looks for
SLOWER = 0.05
COMPARED, SLOWED = 100, 20
KEPT_LAUNCHES = 8


@dataclass(frozen=True)
class Run:
    """One comparison: of A with itself, or with a slower copy; quiet, or beside a busy process."""

    kind: str
    busy: bool
    number: int

    @property
    def id(self) -> str:
        return f"{self.kind}-{'busy' if self.busy else 'quiet'}-{self.number:03d}"


def campaign() -> list[Run]:
    """Every comparison in an order that mixes all kinds."""
    runs = [Run("same", busy, number) for busy in (False, True) for number in range(COMPARED // 2)]
    runs += [Run("slower", busy, number) for busy in (False, True) for number in range(SLOWED)]
    random.Random(0).shuffle(runs)
    return runs


def write_model(path: Path) -> None:
    """cifar-resnet8 with its first weights: they change no duration."""
    import torch

    from edgekit.train.models.images.cifar_resnet8 import build

    torch.manual_seed(0)
    example = (torch.zeros(1, 3, 32, 32),)
    torch.onnx.export(build().eval(), example, str(path), dynamo=True, opset_version=18, external_data=False)


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    """One process that never rests, on whatever core the system gives it."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.5)
        yield
    finally:
        process.kill()
        process.wait()


def launches_of(measurement: Measurement) -> list[list[float]]:
    """The first launches in order, in nanoseconds, for other methods to judge."""
    ordered = sorted(measurement.launches, key=lambda launch: launch.order)[:KEPT_LAUNCHES]
    return [[round(1e9 * value) for value in launch.values] for launch in ordered]


def row(run: Run, report: ComparisonReport, wall_s: float, load: float) -> dict[str, Any]:
    (pair,) = report.pairs
    first, second = report.measurements
    return {
        "id": run.id,
        "kind": run.kind,
        "busy": run.busy,
        "says": pair.says,
        "ratio": pair.ratio.value,
        "low": pair.ratio.low,
        "high": pair.ratio.high,
        "pairs": pair.ratio.n,
        "repeated": pair.repeated,
        "wall_s": round(wall_s, 2),
        "load_before": load,
        "a_ns": launches_of(first),
        "b_ns": launches_of(second),
    }


def header(model: Path, target: str) -> dict[str, Any]:
    """What every row rests on: the machine, and the quiet median that 5 % are taken of."""
    report = profile(model, target=target, launches=8, time_limit_s=0.2)
    (measurement,) = report.measurements
    return {
        "id": "header",
        "target": target,
        "median_s": median(median(launch.values) for launch in measurement.launches),
        "cpu": next(iter(report.facts.values())).cpu,
        "cores": os.cpu_count(),
        "tools": report.tools,
        "load_before": os.getloadavg()[0],
    }


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    return {found["id"]: found for found in map(json.loads, lines)}


def append(path: Path, found: dict[str, Any]) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(found) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=HERE / "rows.jsonl")
    parser.add_argument("--most", type=int, default=COMPARED + 2 * SLOWED, help="comparisons in this call")
    parser.add_argument("--target", default="local")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    local.LAUNCH = "slowed_launch"  # type: ignore[misc]  # a constant of the product, replaced for this campaign only
    with temporary_folder("edgekit-gate-") as folder:
        run_all(Path(folder), options.rows, options.most, options.target)


def run_all(folder: Path, rows: Path, most: int, target: str) -> None:
    model = folder / "model.onnx"
    write_model(model)
    if "header" not in rows_of(rows):
        append(rows, header(model, target))
    known = rows_of(rows)
    copies = {kind: folder / kind / "model.onnx" for kind in ("same", "slower")}
    for copy in copies.values():
        copy.parent.mkdir()
        shutil.copy(model, copy)
    (copies["slower"].parent / WAIT_FILE).write_text(str(SLOWER * known["header"]["median_s"]))
    missing = [run for run in campaign() if run.id not in known][:most]
    for run in missing:
        with busy_process(run.busy):
            load, start = os.getloadavg()[0], time.perf_counter()
            report = compare(model, copies[run.kind], target=known["header"]["target"])
            found = row(run, report, time.perf_counter() - start, load)
        append(rows, found)
        print(f"{run.id}  {found['says']:12}  {found['ratio']:.4f}  {found['pairs']} pairs  {found['wall_s']:.1f} s")


if __name__ == "__main__":
    main()
