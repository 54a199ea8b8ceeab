"""A device that gives what a test wrote down, and small files for it to be asked about."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult

Answer = Callable[[int, Job], float]


class Scripted:
    """Every launch takes what `answer(how many before, job)` says, in seconds; `switches` of it were involuntary."""

    name = "scripted"

    def __init__(
        self, answer: Answer, *, switches: Mapping[int, int] | None = None, emulated: bool = False, values: int = 11
    ) -> None:
        self.answer = answer
        self.switches = switches or {}
        self.emulated = emulated
        self.values = values
        self.jobs: list[Job] = []

    def facts(self) -> Facts:
        return Facts(cpu="scripted", governor="performance", clock_hz=1e9)

    def measure(self, job: Job) -> JobResult:
        number = len(self.jobs)
        self.jobs.append(job)
        value = self.answer(number, job)
        return JobResult(
            backend="fake",
            engine="fake 1",
            provider="cpu",
            values=(value,) * self.values,
            warmups=(value,),
            load_s=value,
            first_run_s=value,
            nivcsw=self.switches.get(number, 0),
        )

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def fake_model(path: Path, *, name: str = "x", delay_s: float = 0.0, offset: float = 0.0) -> Path:
    """A .fake.json file; another `offset` gives another hash."""
    model = {
        "schema_version": 1,
        "inputs": [{"name": name, "dtype": "float32", "shape": ["N", 2]}],
        "outputs": [{"name": "y", "input": name, "weights": [[1, 0], [0, 1]], "offset": [offset, 0]}],
        "delay_s": delay_s,
    }
    path.write_text(json.dumps(model))
    return path
