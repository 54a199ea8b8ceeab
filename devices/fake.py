"""FakeDevice: invented numbers, the same for the same seed, so that any tool can be tested quickly."""

from __future__ import annotations

import random
from typing import Final, Self

import msgspec

from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.devices.local import LocalDevice

FACTS: Final = Facts(
    system="Fake OS",
    architecture="x86_64",
    cpu="Fake CPU",
    cores=1,
    features=("x86_64", "avx2"),
    memory_bytes=1 << 30,
    governor="performance",
    clock_hz=1e9,
    temperature_c=40.0,
    throttled=False,
    load=0.0,
)
_WARMUPS: Final = 5


class FakeDevice:
    """A device that measures nothing. The outputs of a job, if requested, are real: this machine runs it.

    Args:
        seed: Determines every number, together with the artifact's checksum and the number of earlier launches.
        median_s: The median of the invented latencies; by default 0.5 to 1.5 ms, depending on the artifact.
    """

    name = "fake"
    emulated = False

    def __init__(self, *, seed: int = 0, median_s: float | None = None) -> None:
        self.seed = seed
        self.median_s = median_s
        self._launches = 0

    def facts(self) -> Facts:
        """Facts about a quiet machine that does not exist."""
        return FACTS

    def measure(self, job: Job) -> JobResult:
        """An invented result with `job.min_values` values; the job itself can fail only if it requests outputs."""
        if job.outputs:
            with LocalDevice() as local:
                local.measure(msgspec.structs.replace(job, time_limit_s=0.0, min_values=1))
        chance = random.Random(f"{self.seed} {job.sha256} {self._launches}")  # noqa: S311 # no secret
        self._launches += 1
        level = self._level(job) * chance.gauss(1.0, 0.003)
        return JobResult(
            backend="fake",
            engine="fake 1",
            provider="cpu",
            values=tuple(level * abs(chance.gauss(1.0, 0.01)) for _ in range(job.min_values)),
            warmups=tuple(level * (1 + 2.0**-place) for place in range(_WARMUPS)),
            load_s=10 * level,
            first_run_s=3 * level,
            peak_memory_bytes=32 << 20,
            nivcsw=0,
            before=FACTS,
            after=FACTS,
        )

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _level(self, job: Job) -> float:
        own = 1e-3 * random.Random(job.sha256).uniform(0.5, 1.5)  # noqa: S311 # no secret
        return self.median_s if self.median_s is not None else own
