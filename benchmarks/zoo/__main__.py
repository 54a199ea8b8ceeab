"""Real networks: what edgekit says of them, beside plain scripts and an independent judge.

python -m benchmarks.zoo --setup DIR            make the environment with torchvision, timm and published weights
DIR/bin/python -m benchmarks.zoo                run what has no row yet; may be stopped at any time
... --only NAME,NAME --recipes onnx-fp32 --again --failed --part plain --seed 1 --work DIR --limit 300
python -m benchmarks.zoo --page                 write docs/zoo.md from the rows
... --merge FILE                                take the plain part of rows from another file, run beside
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from benchmarks.zoo.net import Net
from benchmarks.zoo.ours import ROOT, Outcome, exported
from benchmarks.zoo.plain import RECIPES
from benchmarks.zoo.registry import nets
from benchmarks.zoo.rows import ROWS, Row, add_rows, compact, merged, read_rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=300, help="seconds for one command of one network")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "edgekit-zoo")
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--again", action="store_true", help="also what has a row")
    parser.add_argument("--failed", action="store_true", help="again what did not pass and is right the plain way")
    parser.add_argument(
        "--part", choices=("both", "ours", "plain"), default="both", help="keep the other part as it is"
    )
    parser.add_argument("--warm", action="store_true", help="edgekit in one process; times then leave imports out")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--merge", type=Path)
    given = parser.parse_args(arguments)
    if given.setup:
        from benchmarks.zoo.environment import make

        make(given.setup)
    elif given.merge:
        add_rows(merged(read_rows(given.rows), read_rows(given.merge)), given.rows)
        compact(given.rows)
    elif given.page:
        from benchmarks.zoo.page import PAGE, page

        compact(given.rows)
        PAGE.write_text(page(read_rows(given.rows)), encoding="utf-8")
    else:
        run(given)


def run(given: argparse.Namespace) -> None:
    """Append the rows of every network that was asked for."""
    wanted = given.only.split(",") if given.only else []
    recipes = given.recipes.split(",")
    with Worker("worker", given.limit) as worker, Worker("warm", 2 * given.limit) as warm:
        for name, net in nets().items():
            known = {row.recipe: row for row in read_rows(given.rows) if row.net == name and row.seed == given.seed}
            asked = [one for one in recipes if is_wanted(known.get(one), given)]
            if (wanted and name not in wanted) or not asked:
                continue
            folder = given.work / f"{name}-{given.seed}"
            for row in rows_of(net, asked, given, folder, (worker, warm), known):
                add_rows([row], given.rows)
                print(told(row), flush=True)
            shutil.rmtree(folder, ignore_errors=True)


def is_wanted(row: Row | None, given: argparse.Namespace) -> bool:
    """Whether a cell is run: it has no row, or was asked for again."""
    if row is None or given.again:
        return True
    if given.part == "plain":
        return not row.plain and (row.verdict != "pass" or not given.failed)
    return bool((given.failed and row.verdict != "pass") or (given.part == "ours" and not row.verdict))


def rows_of(
    net: Net,
    recipes: Sequence[str],
    given: argparse.Namespace,
    folder: Path,
    processes: tuple[Worker, Worker],
    known: dict[str, Row],
) -> Iterator[Row]:
    """The rows of one network: edgekit first, then the plain way, each judged."""
    worker, warm = processes
    shutil.rmtree(folder, ignore_errors=True)
    about = {"name": net.name, "folder": str(folder)}
    made = worker.ask(operation="prepare", seed=given.seed, **about)
    if "error" in made:
        print(f"{net.name}: cannot be prepared: {made['error']}", file=sys.stderr, flush=True)
        return
    ours = (
        {} if given.part == "plain" else exported(net, folder, recipes, given.limit, warm.ask if given.warm else None)
    )
    plain: dict[str, dict[str, Any]] = {}
    for recipe in recipes:
        row = known.get(recipe) or Row(net.name, net.kind, net.source, recipe, given.seed, "")
        if given.part != "plain":
            row = with_ours(row, ours[recipe], worker, about)
        if given.part != "ours":
            row = msgspec.structs.replace(row, **plainly(worker, recipe, plain, given.seed, about))
        yield msgspec.structs.replace(row, parameters=made["parameters"])


def plainly(
    worker: Worker, recipe: str, made: dict[str, dict[str, Any]], seed: int, about: dict[str, str]
) -> dict[str, Any]:
    """What the plain way gives for one recipe; the float file of the format comes first."""
    base = f"{recipe.partition('-')[0]}-fp32"
    for one in dict.fromkeys((base, recipe)):
        if one not in made:
            broken = one != base and "right" not in made[base]
            made[one] = (
                {"error": made[base]["error"]}
                if broken
                else worker.ask(operation="plain", seed=seed, recipe=one, **about)
            )
    found = made[recipe]
    verdict = "broke" if "error" in found else "right" if found["right"] else "wrong"
    return {
        "plain": verdict,
        "plain_db": found.get("db"),
        "plain_detail": found.get("error") or found.get("reason", ""),
        "plain_seconds": found.get("seconds", 0.0),
    }


def with_ours(row: Row, outcome: Outcome, worker: Worker, about: dict[str, str]) -> Row:
    """The row with what edgekit said, and what the judge says of its file."""
    judged: dict[str, Any] = {}
    if outcome.path is not None:
        judged = worker.ask(operation="judge", path=str(outcome.path), recipe=row.recipe, **about)
    return msgspec.structs.replace(
        row,
        verdict=outcome.verdict,
        made=outcome.made,
        detail=outcome.detail or judged.get("error", "") or judged.get("reason", ""),
        right=judged.get("right", False) if judged else None,
        db=judged.get("db"),
        share=judged.get("share"),
        seconds=outcome.seconds,
        peak_mb=outcome.peak_mb,
    )


def told(row: Row) -> str:
    """One line about a row."""
    ours = "" if row.db is None else f"{row.db:.0f} dB"
    return f"{row.net} {row.recipe}: {row.verdict} {ours} (plain {row.plain}) {row.seconds:.0f} s {row.detail[:160]}"


class Worker:
    """The other process; it is replaced when it ends or does not answer in time."""

    def __init__(self, module: str, limit_s: float) -> None:
        self.module, self.limit_s = module, limit_s
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer, or `error` with the reason why there is none."""
        if self.process is None or self.process.poll() is not None:
            self.process = self._started()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            line = self.process.stdout.readline() if selector.select(self.limit_s) else ""
        if line:
            return dict(json.loads(line))
        died = self.process.poll()
        self.stop()
        return {"error": f"the process ended with {died}" if died is not None else f"no answer in {self.limit_s:.0f} s"}

    def _started(self) -> subprocess.Popen[str]:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        log = (Path(tempfile.gettempdir()) / "edgekit-zoo-worker.txt").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.zoo.{self.module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


if __name__ == "__main__":
    main()
