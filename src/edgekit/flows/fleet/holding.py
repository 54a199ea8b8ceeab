"""Holding a device while one command works on it; its launches stop when the command ends."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, Self, cast, runtime_checkable

from edgekit.core.errors import DeviceError, EdgekitError
from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.devices.device import Device, Selective
from edgekit.devices.leasing.leases import Holder, Lease, leased, new_token
from edgekit.devices.leasing.this_machine import ThisMachine
from edgekit.devices.local import LocalDevice
from edgekit.devices.remote.shell import Shell
from edgekit.devices.web.browser import WebDevice
from edgekit.flows.fleet.together import Stop

LOCAL_WAIT_S: Final = 600.0
# All measurements of this process: they wait for one another.
_TOKEN: Final = new_token()
_log = logging.getLogger(__name__)


class Unable(DeviceError):
    """The device cannot run this job, as it is: known before any launch."""


@runtime_checkable
class WithShell(Protocol):
    """A device that is reached through a shell."""

    shell: Shell


def inability(device: Device, job: Job) -> Unable | None:
    """Why the device cannot run `job`, if it knows."""
    try:
        reason = device.inability(job) if isinstance(device, Selective) else ""
    except DeviceError as err:
        return Unable(err.message, hint=err.hint)
    return Unable(reason, hint=f"edgekit devices prepare {device.name}") if reason else None


@contextmanager
def held(device: Device, stop: Stop, *, wait_s: float = 0.0) -> Iterator[Device]:
    """The device for the launches of this command alone, if it can be leased.

    Args:
        wait_s: How long to wait for another user; for this machine at least ten minutes.

    Raises:
        DeviceUnavailable: It does not respond, or another user uses it; the message says who.
        Interrupted: The work has to end.
    """
    with held_together([device], stop, wait_s=wait_s) as launchers:
        yield launchers[0]


@contextmanager
def held_together(devices: Sequence[Device], stop: Stop, *, wait_s: float = 0.0) -> Iterator[list[Device]]:
    """Several ways to launch on one machine, with the lease of the first; arguments and errors as in `held`."""
    shell = shell_of(devices[0])
    if shell is None:
        yield [cast(Device, Launcher(device, stop)) for device in devices]
        return
    patience = max(wait_s, LOCAL_WAIT_S) if isinstance(devices[0], LocalDevice) else wait_s
    with alone_on(shell, wait_s=patience, stop=stop) as lease:
        yield [cast(Device, Launcher(device, stop, lease)) for device in devices]


@contextmanager
def alone_on(shell: Shell, *, wait_s: float = 0.0, stop: Stop | None = None) -> Iterator[Lease]:
    """A machine that this command alone works on; it waits for itself where it reaches one machine by two names.

    Raises:
        DeviceUnavailable: It does not respond, or another user uses it; the message says who.
        Interrupted: The work has to end.
    """
    ends = stop or Stop()

    def pause(seconds: float) -> None:
        ends.wait(seconds)
        ends.check()

    told: list[Holder] = []

    def waiting(holder: Holder) -> None:
        if not told:
            _log.warning("'%s' is busy: used by %s; waiting.", shell.name, holder.described)
        told.append(holder)

    with leased(shell, _TOKEN, wait_s=wait_s, pause=pause, waiting=waiting) as lease:
        yield lease


def shell_of(device: Device) -> Shell | None:
    """The shell through which a device is leased; None if it has none, like a browser without a fixed port."""
    if isinstance(device, WebDevice):
        return ThisMachine(device.name, f"web-{device.port}") if device.port and shutil.which("sh") else None
    if isinstance(device, LocalDevice):
        return ThisMachine() if shutil.which("sh") else None
    return device.shell if isinstance(device, WithShell) else None


class Launcher:
    """A device that launches nothing any more once the work has to end; it does not own the other device."""

    def __init__(self, device: Device, stop: Stop, lease: Lease | None = None) -> None:
        self.name = device.name
        self._device = device
        self._stop = stop
        self._lease = lease

    @property
    def emulated(self) -> bool:
        """As the device itself."""
        return self._device.emulated

    def facts(self) -> Facts:
        """As the device itself."""
        return self._device.facts()

    def measure(self, job: Job) -> JobResult:
        """One launch; errors as in `Device.measure`.

        Raises:
            Interrupted: The work has to end; the launch did not run, or was killed.
        """
        self._stop.check()
        if self._lease is not None:
            self._lease.renew()
        try:
            return self._device.measure(job)
        except EdgekitError:
            self._stop.check()
            raise

    def close(self) -> None:
        """Nothing: the device belongs to who opened it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
