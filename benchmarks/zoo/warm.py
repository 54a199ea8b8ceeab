"""The program edgekit, run for one network after another in one process, and its converters as well.

What is imported stays imported, which is most of the time of a small network. Nothing else differs from one command per
network, apart from the time; `benchmarks/zoo/times.py` measures that. One JSON line in, one out.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from typing import Any, Final

from edgekit.cli.main import run
from edgekit.export import conversion, messages
from edgekit.export.workers.worker import Worker

# Memory of a converter that has seen many networks grows.
_NETWORKS: Final = 15


class Kept(Worker):
    """A worker that stays after a command that used it rightly."""

    def __init__(self, toolchain: str, *, timeout_s: float) -> None:
        super().__init__(toolchain, timeout_s=timeout_s)
        self.open_jobs, self.commands = 0, 0

    def send(self, job: messages.Question) -> None:
        self.open_jobs += 1
        super().send(job)

    def receive(self, what: str) -> messages.Reply:
        reply = super().receive(what)
        self.open_jobs -= 1
        return reply

    def close(self) -> None:
        """Keep the process, unless an answer is missing or it has served long enough."""
        self.commands += 1
        if self.open_jobs or self.commands % _NETWORKS == 0:
            self.kill()
        self.open_jobs, self._is_loading = 0, False


def main() -> None:
    """Answer until the input ends."""
    kept: dict[str, Kept] = {}

    def worker(name: str, *, timeout_s: float) -> Worker:
        if name not in kept or kept[name]._is_closed:
            kept[name] = Kept(name, timeout_s=timeout_s)
        return kept[name]

    conversion.Worker = worker  # type: ignore[assignment,misc]  # a function in the place of the class
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        os.chdir(asked["folder"])
        said, begun = io.StringIO(), time.perf_counter()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            code = run(asked["words"])
        answers.write(
            json.dumps({"code": code, "text": said.getvalue(), "seconds": time.perf_counter() - begun}) + "\n"
        )
        answers.flush()


if __name__ == "__main__":
    main()
