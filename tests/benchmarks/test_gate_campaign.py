"""The campaign of the gate: what it runs, what it adds to a call, and how its rows are counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from benchmarks.gate import campaign, slowed_launch, summary
from tests.flows.scripted import fake_model

from edgekit.core.job import Job
from edgekit.core.samples import write_arrays
from edgekit.core.system.files import sha256_file


def row(kind: str, says: str, *, busy: bool = False, ratio: float = 1.0) -> summary.Row:
    a = [[1000 + 2 * (launch + place) % 7 for place in range(120)] for launch in range(8)]
    b = [[round(value * ratio) for value in launch] for launch in a]
    return {"kind": kind, "busy": busy, "says": says, "a_ns": a, "b_ns": b, "wall_s": 5.0}


def test_it_runs_what_the_acceptance_asks_for() -> None:
    runs = campaign.campaign()

    assert Counter((run.kind, run.busy) for run in runs) == {
        ("same", False): 50,
        ("same", True): 50,
        ("slower", False): 20,
        ("slower", True): 20,
    }
    assert len({run.id for run in runs}) == 140
    assert runs == campaign.campaign()


def test_rows_are_kept_by_name_for_the_next_call(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert campaign.rows_of(path) == {}

    for name in ("header", "same-quiet-000"):
        campaign.append(path, {"id": name})

    assert list(campaign.rows_of(path)) == ["header", "same-quiet-000"]


def test_a_slowed_call_lasts_longer_by_the_wait_and_gives_the_same() -> None:
    start = perf_counter()

    found = slowed_launch.slowed(lambda: 7, 0.02)()

    assert found == 7
    assert perf_counter() - start >= 0.02


@pytest.mark.slow
def test_a_launch_is_slowed_only_beside_the_file_that_says_so(tmp_path: Path) -> None:
    model = fake_model(tmp_path / "net.fake.json")
    write_arrays(tmp_path / "feeds.npz", {"0:x": np.zeros((1, 2), np.float32)})
    job = Job(
        artifact=str(model),
        sha256=sha256_file(model),
        format="fake",
        feeds=str(tmp_path / "feeds.npz"),
        time_limit_s=0.0,
        min_values=5,
    )

    plain = launched(job, tmp_path)
    (tmp_path / campaign.WAIT_FILE).write_text("0.02")
    slow = launched(job, tmp_path)

    assert min(slow) >= 0.02
    assert min(plain) < 0.02


def launched(job: Job, folder: Path) -> list[float]:
    """The values of a launch by the wrapper."""
    import msgspec

    (folder / "job.json").write_bytes(msgspec.json.encode(job))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "slowed_launch", str(folder / "job.json")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(campaign.HERE)},
    )
    values: list[float] = json.loads(done.stdout)["values"]
    return values


def test_the_table_counts_false_open_and_found() -> None:
    rows = [
        row("same", "equal"),
        row("same", "slower"),
        row("same", "inconclusive"),
        row("slower", "slower", ratio=1.05),
    ]

    line = summary.line("edgekit compare", summary.edgekit, rows)

    assert line == "| edgekit compare | 1 false, 1 open of 3 | 0 false, 0 open of 0 | 1 of 1 | 0 of 0 |"


@pytest.mark.parametrize(
    ("method", "same", "five", "double"),
    [
        (summary.plain, "equal", "slower", "slower"),
        (summary.means, "equal", "slower", "slower"),
        (summary.pooled, "equal", "slower", "slower"),
        (summary.benchmark_action, "equal", "equal", "slower"),
    ],
)
def test_the_usual_ways_judge_as_they_are_described(method: object, same: str, five: str, double: str) -> None:
    assert callable(method)
    assert [method(row("", "", ratio=ratio)) for ratio in (1.0, 1.05, 2.1)] == [same, five, double]
