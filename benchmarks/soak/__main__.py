"""Two hours of random commands over the stand-ins, with random faults: nothing may grow.

python -m benchmarks.soak --minutes 120 --seed 0 --rows rows.jsonl      as in docs/reliability.md
python -m benchmarks.soak --summary rows.jsonl                          the table of rows that are there

Each round runs a random command, mostly with a fault, then the same command without one, and measures files, bytes,
processes, and the memory and open files of the processes that live long. It needs Linux and root, and runs in a
namespace of processes of its own: if its first process ends, all end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.soak.commands import COMMANDS
from benchmarks.soak.place import Place, running_place
from benchmarks.soak.quantities import processes, settled, used_s
from benchmarks.soak.rounds import one_round, timed
from benchmarks.soak.summary import page, read_rows, table

from edgekit.core.system.durable.owners import temporary_folder

_INSIDE: Final = "SOAK_INSIDE"
# Processor time of one core that all of it may take on average.
SHARE: Final = 0.33


def main() -> int:
    """Run the rounds, or print the table of earlier ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", choices=[*COMMANDS, []], help="Which commands; all if none is given.")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=SHARE, help="Cores that it may use on average.")
    parser.add_argument("--nice", type=int, default=19, help="How far it stands back behind other sessions, 0 to 19.")
    parser.add_argument("--rows", type=Path, help="File that gets a line for each round.")
    parser.add_argument("--summary", type=Path, help="Print the table of these rows, and run nothing.")
    parser.add_argument("--page", action="store_true", help="With --summary: what docs/reliability.md shows.")
    options = parser.parse_args()
    if options.summary:
        rows = read_rows(options.summary)
        text, is_steady = (page(rows), True) if options.page else table(rows)
        print(text)
        return 0 if is_steady else 1
    if _INSIDE not in os.environ:
        os.environ[_INSIDE] = "1"
        namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvp(namespace[0], [*namespace, sys.executable, "-m", "benchmarks.soak", *sys.argv[1:]])
    return _as_first(lambda: _soak(options))


def _as_first(work: Callable[[], int]) -> int:
    """Do the work in a child; this process is the first of its namespace, and waits for what has lost its parent."""
    child = os.fork()
    if not child:
        del os.environ[_INSIDE]
        os._exit(_flushed(work()))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _flushed(code: int) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _soak(options: argparse.Namespace) -> int:
    rng = random.Random(options.seed)
    with (
        temporary_folder("ek-soak-") as folder,
        options.rows.open("a", encoding="utf-8") as rows,
        running_place(Path(folder)) as place,
    ):
        start, used = time.monotonic(), used_s()
        lasts_s = {}
        chosen = {name: one for name, one in COMMANDS.items() if name in (options.commands or COMMANDS)}
        for one, command in chosen.items():
            lasts_s[one] = min(timed(command, place) for _ in range(command.before))
            print(f"{one}: {lasts_s[one]:.1f} s", flush=True)
        place.nice = options.nice
        usual = _usual(place)
        number = 0
        while time.monotonic() - start < 60 * options.minutes:
            name = rng.choices(list(chosen), [one.weight for one in chosen.values()])[0]
            row = one_round(place, rng, chosen[name], lasts_s, usual)
            number += 1
            row |= {
                "round": number,
                "at_s": round(time.monotonic() - start, 1),
                "used_s": round(used_s() - used, 1),
            }
            rows.write(json.dumps(row) + "\n")
            rows.flush()
            for problem in row["problems"]:
                print(f"round {number}, {row['command']}, {row['fault'] or 'no fault'}: {problem}", flush=True)
            time.sleep(max(0.0, (used_s() - used) / options.share - (time.monotonic() - start)))
    text, is_steady = table(read_rows(options.rows))
    print(text)
    return 0 if is_steady else 1


def _usual(place: Place) -> int:
    """The number of processes between rounds, once those of the first commands have ended."""
    settled(place, 0)
    return len(processes())


if __name__ == "__main__":
    sys.exit(main())
