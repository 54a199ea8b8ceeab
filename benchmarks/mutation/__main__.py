"""Mutates modules and counts the mutants that the tests next to them find.

python -m benchmarks.mutation budget alarms           the modules of these subjects
python -m benchmarks.mutation --again budget          only the mutants that survived the last run
python -m benchmarks.mutation --page                  the table of docs/reliability.md from the last runs

mutmut makes the mutants; see `mutants.py` for how and `session.py` for how they are run. `survivors/SUBJECT.jsonl`
contains the counts of each module, and each mutant that survived, with the reason why no test has to find it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
from benchmarks.mutation.mutants import Mutant, mutants_of
from benchmarks.mutation.page import write_page
from benchmarks.mutation.rows import Row, Survivor, read, write
from benchmarks.mutation.session import Job
from benchmarks.mutation.subjects import SUBJECTS, Subject

from edgekit.core.system.durable.owners import temporary_folder

ROOT: Final = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--again", action="store_true", help="only the mutants that survived the last run")
    parser.add_argument("--module", help="only the module whose path ends in this")
    parser.add_argument("--sample", type=int, help="only as many mutants of each module, drawn with a fixed seed")
    parser.add_argument(
        "--longest", type=float, default=3.0, help="leave out tests that take longer (seconds of a processor)"
    )
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no mutant of a module after this time")
    parser.add_argument("--page", action="store_true", help="write the table of docs/reliability.md")
    options = parser.parse_args()
    for name in options.subjects:
        for module in SUBJECTS[name].modules:
            if not options.module or module.endswith(options.module):
                _module(name, SUBJECTS[name], module, options)
    if options.page:
        write_page()


def _module(name: str, subject: Subject, module: str, options: argparse.Namespace) -> None:
    start, row = time.monotonic(), read(name).get(module)
    earlier = {(one.was, one.now): one for one in row.survivors} if row else {}
    lines = {line for was, _ in earlier for line in was.splitlines()} if options.again else None
    mutants, count = mutants_of(ROOT / module, None if options.again else options.sample, lines)
    chosen = [one for one in mutants if one.key in earlier] if options.again else mutants
    outcomes = judged(module, subject.tests, chosen, options.longest, options.minutes)
    kept = {"survived", "uncovered", "not tried"} if options.again else {"survived", "uncovered"}
    left = [
        Survivor(one.line, one.was, one.now, outcome, *_said(earlier.get(one.key)))
        for one, outcome in zip(chosen, outcomes, strict=True)
        if outcome in kept
    ]
    ended = outcomes.count("timed out") + (row.timed_out if options.again and row else 0)
    tried = row.tried if options.again and row else len(chosen) - outcomes.count("not tried")
    first = row.first if row else round(1 - len(left) / tried, 4)
    write(name, Row(module, count, tried, ended, first, left))
    print(f"{module}: {len(left)} of {tried} mutants survive, {ended} timed out, {time.monotonic() - start:.0f} s")


def _said(earlier: Survivor | None) -> tuple[str, bool]:
    """What was written about a mutant before this run."""
    return ("", False) if earlier is None else (earlier.reason, earlier.same)


def judged(module: str, tests: tuple[str, ...], mutants: list[Mutant], longest_s: float, minutes: float) -> list[str]:
    """What became of each mutant: killed, timed out, survived, uncovered, or not tried."""
    with temporary_folder("edgekit-mutation-") as temporary:
        folder = Path(temporary)
        tree = folder / "tree"
        _copy(tree)
        job, out = tree / "job.json", tree / "outcomes.jsonl"
        job.write_bytes(msgspec.json.encode(Job(module, list(tests), mutants, str(out), longest_s, minutes)))
        environment = os.environ | {"PYTHONPATH": str(tree / "src"), "TMPDIR": str(folder)}
        with (folder / "log").open("wb") as log:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.mutation.session", str(job)],
                cwd=tree,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        rows = [msgspec.json.decode(line) for line in out.read_bytes().splitlines()] if out.exists() else []
        if not rows:
            raise SystemExit(f"no mutant of {module} was judged\n{_end(folder / 'log')}")
    by_number = {row["number"]: row["outcome"] for row in rows}
    return [by_number.get(number, "not tried") for number in range(len(mutants))]


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def _copy(tree: Path) -> None:
    """The working tree as a commit would hold it, links as links."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists() or (ROOT / name).is_symlink():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)


if __name__ == "__main__":
    main()
