"""The process in which networks are prepared, converted the plain way, and judged: one JSON line in, one out.

It serves many networks, because importing the converters takes longer than converting; the runner replaces it when it
ends or takes too long.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from benchmarks.zoo.judge import judge
from benchmarks.zoo.plain import file_of, steps
from benchmarks.zoo.prepared import load, prepare
from benchmarks.zoo.registry import nets


def prepared(name: str, seed: int, folder: str) -> dict[str, Any]:
    """The number of parameters."""
    return {"parameters": prepare(name, seed, Path(folder))}


def plainly(name: str, seed: int, folder: str, recipe: str) -> dict[str, Any]:
    """Make one file the plain way and judge it."""
    net, place = nets()[name], Path(folder)
    with np.load(place / "samples.npz") as stored:
        feeds = {one: stored[one] for one in stored.files}
    begun = time.perf_counter()
    steps(load(name, seed, folder), feeds, place, net.int8)[recipe]()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, **judged(name, folder, str(file_of(place, recipe)), recipe)}


def judged(name: str, folder: str, path: str, recipe: str) -> dict[str, Any]:
    """The independent judgement of one file."""
    found = judge(Path(path), recipe.split("-")[1], Path(folder), nets()[name].mixed)
    return {"right": found.right, "db": found.least_db, "share": found.share, "reason": found.reason}


OPERATIONS: Final = {"prepare": prepared, "plain": plainly, "judge": judged}
_FOLDERS: Final = re.compile(r"(?<![\w.])(?:/[\w.-]+)+/")


def main() -> None:
    """Answer until the input ends; what converters print is dropped, so that lines of the answer stand alone."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                answer = OPERATIONS[asked.pop("operation")](**asked)
        except BaseException as err:  # noqa: BLE001  # converters raise anything, and the next network wants its turn
            text = str(err).strip().splitlines()
            # Rows are published: they name files without the folders of this machine.
            first = _FOLDERS.sub("", text[0] if text else "")
            answer = {"error": f"{type(err).__name__}: {first}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
