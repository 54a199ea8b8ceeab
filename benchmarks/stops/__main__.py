"""How long a command takes to end after a signal, and what it leaves.

python -m benchmarks.stops                      three stops of each command with Ctrl-C, SIGTERM and SIGHUP
python -m benchmarks.stops --stops 10 check     more of one

The moments are spread over the whole duration. Ctrl-C reaches all processes of a command, as from a terminal, and the
others the one that was started. A command must end in 130, with one line and without a traceback, and leave no process,
no temporary file and no half output. The times are also given without what the machine lets the processes of the
command wait for a processor, because it is rarely idle.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.kills import COMMANDS, Killed, Trial, edgekit
from tests.standins.desk import running_desk

from edgekit.core.system.durable.owners import temporary_folder

SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
# A command whose result was ready when the signal came may end as if there had been none.
_ABOUT_S: Final = 0.3
# The first stop of a command comes after its first line has run: before it, Python itself ends.
_STARTS_S: Final = 0.1
_BUNDLE: Final = (*COMMANDS["export"].before, COMMANDS["export"].arguments)
STOPPED: Final = {
    **{name: COMMANDS[name] for name in ("build", "export", "train", "check", "sweep")},
    "profile": Killed("profile", edgekit("profile bundle --launches 6 --time-limit 0.02"), _BUNDLE),
    "profile over ssh": Killed(
        "profile over ssh",
        edgekit("profile net.onnx --target pi --launches 6 --time-limit 0.02"),
        COMMANDS["export"].before,
    ),
    "compare": Killed(
        "compare", edgekit("compare bundle bundle --launches 5 --time-limit 0.02 --minimum-effect 90%"), _BUNDLE
    ),
    "tune": Killed("tune", edgekit("tune bundle --time-limit 0.02"), _BUNDLE),
    "deploy": Killed("deploy", edgekit("deploy bundle --for python --out program --force"), _BUNDLE),
}


class Stop(NamedTuple):
    """How long the command took to end, how much of that it waited for a processor, and what was wrong."""

    ends_s: float
    starved_s: float
    problems: list[str]


def stops(name: str, folder: Path, number: signal.Signals, count: int) -> Iterator[Stop]:
    """Stop a command at moments that are spread over its duration."""
    trial = Trial(STOPPED[name], folder / "trial", seed=int(number))
    trial.environment["EDGEKIT_DEVICES"] = str(folder / "devices.toml")
    for arguments in trial.killed.before:
        trial.succeeds(arguments)
    trial.succeeds(trial.killed.arguments)
    expected = trial.left()
    moments = random.Random(f"{name} {number}")
    found = 0
    while found < count:
        moment = _STARTS_S + (trial.lasts_s - _STARTS_S) * (found + moments.random()) / count
        stopped = _stop(trial, moment, number, expected)
        if stopped is not None:
            found += 1
            yield stopped


def _stop(trial: Trial, moment: float, number: signal.Signals, expected: set[str]) -> Stop | None:
    """One stop; None if the command had ended before."""
    errors = trial.folder / "errors"
    if trial.killed.name == "train":
        shutil.rmtree(trial.work / "run", ignore_errors=True)
    with errors.open("wb") as stream:
        process = trial.started(stream)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
            return None
        family = list(trial.family())
        before = _waited_s(family)
        start = time.monotonic()
        (os.killpg if number is signal.SIGINT else os.kill)(process.pid, number)
        starved = before
        while process.poll() is None:
            starved = max(starved, _waited_s(family))
            time.sleep(0.01)
        ends_s = time.monotonic() - start
    said = errors.read_text(errors="replace")
    errors.unlink()
    is_about_to_end = process.returncode == 0 and ends_s < _ABOUT_S
    problems = (
        [] if process.returncode == 130 or is_about_to_end else [f"exits with {process.returncode}: {said[-300:]}"]
    )
    problems += [said[-800:]] if "Traceback" in said else []
    problems += [f"still running: {strays}"] if (strays := trial.processes()) else []
    problems += [f"left: {sorted(left)[:5]}"] if (left := trial.left() - expected) else []
    return Stop(ends_s, starved - before, [f"after {moment:.2f} s: {one}" for one in problems])


def _waited_s(family: list[int]) -> float:
    """How long those of these processes that still run have waited for a processor."""
    total = 0.0
    for pid in family:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    return total


def main() -> int:
    """Print a row for each command and signal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", choices=[*STOPPED, []], help="Which commands; all if none is given.")
    parser.add_argument("--stops", type=int, default=3)
    parser.add_argument("--signals", default=",".join(SIGNALS))
    options = parser.parse_args()
    # A shell ignores some of these for its jobs in the background, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    problems = 0
    print("| command | signal | stops | median | longest | of that without a processor | problems |\n|" + "---|" * 7)
    for name in options.commands or STOPPED:
        for number in (signal.Signals[one] for one in options.signals.split(",")):
            with temporary_folder("edgekit-stops-") as folder, running_desk(Path(folder), ["pi"], launch_s=0.2):
                found = list(stops(name, Path(folder), number, options.stops))
            longest = max(found)
            bad = [problem for one in found for problem in one.problems]
            figures = f"{statistics.median(one.ends_s for one in found):.2f} s | {longest.ends_s:.2f} s"
            print(f"| `{name}` | {number.name} | {len(found)} | {figures} | {longest.starved_s:.2f} s | {len(bad)} |")
            print(*bad, sep="\n", end="\n" * bool(bad), flush=True)
            problems += len(bad)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
