"""Device: where a job runs."""

from __future__ import annotations

from typing import Protocol, Self, runtime_checkable

from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.core.system.registry import Registry


class Device(Protocol):
    """A machine that runs jobs; a context manager. `name` is its name in targets."""

    name: str
    emulated: bool

    def facts(self) -> Facts:
        """The current facts about the device.

        Raises:
            DeviceUnavailable: The device does not respond; may be retried.
        """

    def measure(self, job: Job) -> JobResult:
        """Run one launch of `job` in a fresh process and return its result.

        Raises:
            DeviceUnavailable: The connection was lost; may be retried.
            DeviceError: The device cannot run this job.
            EdgekitError: The error that the launch itself reported, with its own exit code.
        """

    def close(self) -> None:
        """Leave no process and no temporary file behind."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class Selective(Protocol):
    """A device that knows before a launch what it cannot run."""

    def inability(self, job: Job) -> str:
        """Why the device cannot run `job`, as a sentence; empty if it may. Errors as in `Device.facts`."""


@runtime_checkable
class Counting(Protocol):
    """A device that can count instructions: what an emulator offers instead of a latency."""

    def count(self, job: Job) -> tuple[int, ...]:
        """Instructions per inference of `job`; empty if they are not counted. Errors as in `Device.measure`."""


DEVICES = Registry(
    "device",
    {
        "local": ("edgekit.devices.local:LocalDevice", "this machine, one fresh process per launch"),
        "fake": ("edgekit.devices.fake:FakeDevice", "invented numbers; for testing tools"),
    },
    group="edgekit.devices",
)
