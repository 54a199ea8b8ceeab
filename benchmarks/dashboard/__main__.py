"""Times the pages of `edgekit serve` on a store with many runs, next to an empty one.

python -m benchmarks.dashboard              100,000 runs, a minute or two
python -m benchmarks.dashboard RUNS         another number
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, Final

from benchmarks.figures.figure_rows import record
from sqlalchemy import insert

from edgekit.core.system.durable.owners import temporary_folder
from edgekit.store.database import Store, open_store
from edgekit.store.schema import DEVICES, DOCUMENTS, MEASUREMENTS, MODELS, RUNS, VERDICTS

RUNS_BY_DEFAULT: Final = 100_000
MODELS_KEPT: Final = 40
TARGETS: Final = ("local", "pi4", "pi5", "pixel8", "jetson", "local/litert")
ARTIFACTS: Final = ("onnx-fp32", "onnx-int8-static", "tflite-fp16")
START: Final = datetime(2024, 1, 1, tzinfo=UTC)
PART: Final = 5000
REPEATS: Final = 15


def main(arguments: Sequence[str]) -> None:
    """Fill two stores, time every page in both, and print a table."""
    number = int(arguments[0]) if arguments else RUNS_BY_DEFAULT
    with temporary_folder() as folder:
        empty, full = Path(folder) / "empty.sqlite", Path(folder) / "full.sqlite"
        open_store(str(empty)).close()
        with open_store(str(full)) as store:
            fill(store, number)
        print(f"{number:,} runs, {full.stat().st_size / number:,.0f} bytes each without their whole reports\n")
        before, now = timed(str(empty), number), timed(str(full), number)
    print("| page | empty | full | ratio |\n|---|---|---|---|")
    for page, seconds in now.items():
        known = before.get(page)
        ratio = f"{seconds / known:.1f}" if known else ""
        print(f"| `{page}` | {f'{1000 * known:.0f} ms' if known else ''} | {1000 * seconds:.0f} ms | {ratio} |")
    if number == RUNS_BY_DEFAULT:
        record("dashboard.page", max(now.values()), runs=number, seconds=now, empty_s=before)


def fill(store: Store, number: int) -> None:
    """Keep runs of every model in turn, a tenth with a verdict that is not a pass."""
    rows = generated(number, random.Random(0))
    with store.writing() as connection:
        models = [{"id": one + 1, "digest": f"m{one}", "name": f"model-{one:02}"} for one in range(MODELS_KEPT)]
        connection.execute(insert(MODELS), models)
        connection.execute(insert(DEVICES), [_device(place, name) for place, name in enumerate(TARGETS)])
    while part := list(islice(rows, PART)):
        with store.writing() as connection:
            for place, table in enumerate((RUNS, MEASUREMENTS, VERDICTS)):
                connection.execute(insert(table), [row for run in part for row in run[place]])
            content = zlib.compress(b"{}")
            connection.execute(insert(DOCUMENTS), [{"run_id": run[0][0]["id"], "content": content} for run in part])


def generated(number: int, chance: random.Random) -> Iterator[tuple[list[dict[str, Any]], ...]]:
    """The rows of each run: the run, a measurement for each artifact, and its verdicts."""
    for one in range(1, number + 1):
        model, target = one % MODELS_KEPT, chance.randrange(len(TARGETS))
        created = (START + timedelta(minutes=10 * one)).isoformat(timespec="seconds")
        verdict = chance.choices(("pass", "fail", "inconclusive"), (90, 6, 4))[0]
        run = {
            "id": one,
            "digest": f"r{one}",
            "created": created,
            "command": "profile",
            "subject": f"model-{model:02}-bundle",
            "model_id": model + 1,
            "commit_id": f"{one // MODELS_KEPT:040x}",
            "verdict": verdict,
            "edgekit": "0.1.0",
        }
        level = 1e-3 * (1 + model / 10) * (1 + target)
        measured = [_measured(one, model, target, created, name, level, chance) for name in ARTIFACTS]
        judged = {
            "run_id": one,
            "kind": "outcome",
            "name": "",
            "artifact": ARTIFACTS[0],
            "target": TARGETS[target],
            "value": None,
            "bound": None,
            "verdict": verdict,
        }
        yield [run], measured, [judged]


def _measured(
    run: int, model: int, target: int, created: str, artifact: str, level: float, chance: random.Random
) -> dict[str, Any]:
    medians = [level * chance.lognormvariate(0, 0.02) for _ in range(5)]
    p50 = statistics.median(medians)
    return {
        "run_id": run,
        "model_id": model + 1,
        "artifact_id": None,
        "device_id": target + 1,
        "created": created,
        "artifact": artifact,
        "target": TARGETS[target],
        "sizes": {"N": 1},
        "engine": "onnxruntime 1.25",
        "provider": "cpu",
        "p50": p50,
        "p50_low": min(medians),
        "p50_high": max(medians),
        "p90": 1.2 * p50,
        "load": 0.02,
        "first_run": 0.005,
        "memory": 3e7,
        "trust": "B",
        "launch_medians": medians,
    }


def _device(place: int, name: str) -> dict[str, Any]:
    return {
        "id": place + 1,
        "digest": f"d{place}",
        "architecture": "aarch64",
        "cpu": f"processor of {name}",
        "cores": 4,
        "memory_mib": 4096,
        "system": "Linux",
        "emulated": False,
        "engines": {"onnxruntime": "1.25"},
    }


def timed(place: str, number: int) -> dict[str, float]:
    """The median seconds of each page; pages of runs that this store lacks are left out."""
    pages = [
        "/",
        "/?model=model-07",
        "/?target=pi5",
        "/trends",
        "/trends?model=model-07&target=pi5",
        "/runs",
        "/runs?model=model-07",
        "/runs?target=pi5&artifact=onnx-fp32",
        f"/runs/{number // 2}",
        f"/compare?a={number // 2}&b={number // 2 + 240}",
        "/devices",
        "/trends?format=json",
    ]
    with served(place) as url:
        found = {page: _median(url + page) for page in pages}
    return {page: seconds for page, seconds in found.items() if seconds is not None}


@contextmanager
def served(place: str) -> Iterator[str]:
    """The address of the pages of a store, without a slash at its end, while a process serves them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edgekit", "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "EDGEKIT_HISTORY": place},
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "}\n")
        yield json.loads("".join([*lines, "}"]))["url"].rstrip("/")
    finally:
        process.terminate()
        process.wait()


def _median(address: str) -> float | None:
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        try:
            with urllib.request.urlopen(address, timeout=60) as reply:
                reply.read()
        except urllib.error.HTTPError as err:
            if err.code != HTTPStatus.NOT_FOUND:
                raise
            return None
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    main(sys.argv[1:])
