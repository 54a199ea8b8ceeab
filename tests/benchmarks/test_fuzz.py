"""Mutants of the files that edgekit reads: some of each kind in the tests, 100,000 by `python -m benchmarks.fuzz`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.fuzz.campaign import append, key_of, ranges, read_rows
from benchmarks.fuzz.children import case_of
from benchmarks.fuzz.kinds import KINDS

# A conversion and a launch take seconds each; torch writes the programs.
CHEAP = [kind for kind in KINDS if kind not in ("export", "launch", "program")]


@pytest.mark.parametrize("kind", CHEAP)
def test_a_mutant_is_determined_by_its_kind_its_seed_and_its_number(kind: str) -> None:
    maker = KINDS[kind][0]

    first, second = ([case_of(kind, maker, 3, index) for index in range(8)] for _ in range(2))

    assert [(one.arguments, one.files) for one in first] == [(one.arguments, one.files) for one in second]
    assert len({str(one.files) + str(one.arguments) + str(one.call) for one in first}) > 1


def test_ranges_that_have_a_row_are_not_tried_again(tmp_path: Path) -> None:
    rows, kinds = tmp_path / "rows.jsonl", ["onnx", "zip"]
    todo = ranges(kinds, 3000, 1, set())

    assert sum(one.count for one in todo) == 3000
    for one in todo[:3]:
        append(rows, {"kind": one.kind, "seed": one.seed, "first": one.first, "count": one.count})

    assert ranges(kinds, 3000, 1, {key_of(row) for row in read_rows(rows)}) == todo[3:]


@pytest.mark.slow
def test_some_mutants_of_each_kind_end_as_documented(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", *CHEAP, "--mutants", "240", "--seed", "11", "--workers", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    done = subprocess.run(
        [*command, "--rows", str(tmp_path / "rows.jsonl")],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(row["count"] for row in read_rows(tmp_path / "rows.jsonl")) == 240
    assert list(tmp_path.iterdir()) == [tmp_path / "rows.jsonl"]
