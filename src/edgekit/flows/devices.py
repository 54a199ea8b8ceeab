"""`edgekit devices`: the inventory, and operations on its devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.errors import UserError, unknown
from edgekit.core.reports.setup.devices import DeviceChangeReport, DeviceCheckReport, DeviceListReport, Listed
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.devices import inventory
from edgekit.devices.device import DEVICES
from edgekit.devices.fleet.keys import address_of
from edgekit.devices.inventory import Entry
from edgekit.devices.remote import engines
from edgekit.devices.remote.onnxruntime_library import GLIBC, prepare_native
from edgekit.devices.remote.readiness import check
from edgekit.devices.remote.shell import Shell
from edgekit.devices.remote.transfer import free_bytes
from edgekit.devices.web import packages
from edgekit.flows.fleet.holding import alone_on
from edgekit.flows.opening.cache import cache_folder
from edgekit.flows.opening.devices import open_shell
from edgekit.runtime.portable import C_RUNNERS

PACKAGES: Final = {"onnxruntime": "onnxruntime", "litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
"""The backends that can be installed on a device with Python, with the package of each."""


def list_devices() -> DeviceListReport:
    """Built-in devices and those of the inventory."""
    own = [Listed(name, e.transport, e.address, e.emulated) for name, e in inventory.read_inventory().items()]
    built_in = [Listed(plugin.name, "built-in", plugin.summary) for plugin in DEVICES.plugins.values()]
    return DeviceListReport(file=str(inventory.inventory_file()), devices=(*built_in, *own))


@dataclass(frozen=True)
class DeviceOrder:
    """One operation on a device or on the inventory; `act` performs it and returns a sentence about it."""

    command: str
    device: str
    planned: tuple[str, ...]
    act: Callable[[], str]

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        return self.planned

    def run(self, progress: Progress) -> DeviceChangeReport:
        """Perform the operation."""
        return DeviceChangeReport(device=self.device, done=self.act(), command=self.command)


@contextmanager
def add_order(name: str, entry: Entry, *, force: bool = False) -> Iterator[DeviceOrder]:
    """Add a device to the inventory without connecting to it; the files of its keys are found from any folder."""
    if entry.fleet:
        keys = Path(entry.keys).absolute() if entry.keys else None
        if keys is not None and not keys.is_file():
            raise UserError(
                f"There are no keys at '{keys}'.", hint=f"edgekit devices add {name} --fleet {entry.fleet} --keys FILE"
            )
        entry = msgspec.structs.replace(entry, fleet=address_of(entry.fleet, keys), keys=str(keys or ""))

    def act() -> str:
        inventory.add(name, entry, force=force)
        return f"'{name}' ({entry.transport}, {entry.address}) added."

    yield DeviceOrder("devices add", name, (f"add '{name}' to the inventory",), act)


@contextmanager
def remove_order(name: str) -> Iterator[DeviceOrder]:
    """Remove a device from the inventory; files on it stay."""
    require_device(name)

    def act() -> str:
        inventory.remove(name)
        return f"'{name}' removed from the inventory."

    yield DeviceOrder("devices remove", name, (f"remove '{name}' from the inventory",), act)


@contextmanager
def prepare_order(
    name: str,
    *,
    settings: Settings = Settings(),
    backends: Sequence[str] = (),
    libraries: Path | None = None,
    progress: Progress = Silent(),
) -> Iterator[DeviceOrder]:
    """Install the backends on the device, or for a browser in the cache; with `offline` only from the cache.

    Args:
        backends: Names of the backends to install, such as `onnxruntime`; all that the device can have if empty.
        libraries: For a device without glibc, such as a phone: the folder on this machine with a C library for it.
    """
    entry = require_device(name)
    packages_ = tuple(PACKAGES[backend] for backend in backends)

    def act() -> str:
        with progress.stage(f"preparing '{name}'"):
            if entry.transport == "web":
                found = packages.fetch(cache_folder(settings), offline=settings.offline)
                return f"This machine has {found}; open the address that 'edgekit profile' prints on '{name}'."
            with _shell(name, entry) as shell, alone_on(shell, wait_s=settings.wait_s):
                found = _prepared(shell, cache_folder(settings), packages_, libraries, offline=settings.offline)
        return f"'{name}' is ready: {found}."

    steps = ("download the wheels of the backends with pip, unless they are cached", f"send them to '{name}'")
    yield DeviceOrder("devices prepare", name, steps, act)


@contextmanager
def clean_order(name: str, *, settings: Settings = Settings()) -> Iterator[DeviceOrder]:
    """Remove everything that edgekit installed on the device."""
    entry = require_device(name)

    def act() -> str:
        with _shell(name, entry) as shell, alone_on(shell, wait_s=settings.wait_s):
            engines.clean(shell)
        return f"'{name}' is clean: edgekit's folder was removed."

    yield DeviceOrder("devices clean", name, (f"remove edgekit's folder from '{name}'",), act)


def check_device(name: str, *, progress: Progress = Silent()) -> DeviceCheckReport:
    """Check everything that a job on the device needs."""
    with _shell(name, require_device(name)) as shell:
        found = []
        for one in check(shell, C_RUNNERS):
            found.append(one)
            progress.step(len(found), len(found), f"{one.name}: {one.found}")
    return DeviceCheckReport(device=name, checks=tuple(found))


def require_device(name: str) -> Entry:
    """The entry of a device in the inventory.

    Raises:
        UserError: No such device (the nearest is suggested), or a built-in one.
    """
    entries = inventory.read_inventory()
    if name in DEVICES and name not in entries:
        raise UserError(f"'{name}' is built in; there is nothing to check or prepare.", hint="edgekit doctor")
    if name not in entries:
        raise unknown("device", name, entries, hint="edgekit devices list")
    return entries[name]


def _prepared(shell: Shell, cache: Path, wanted: Sequence[str], libraries: Path | None, *, offline: bool) -> str:
    """Engines for Python where the device has it, else ONNX Runtime's library alone."""
    system = engines.look(shell)
    if system.python and system.glibc and not _only_library_fits(shell, system, wanted):
        return engines.prepare(shell, cache, offline=offline, packages=wanted)
    has_glibc = system.glibc > 0
    return prepare_native(shell, C_RUNNERS, cache, libraries=libraries, has_glibc=has_glibc, offline=offline)


def _only_library_fits(shell: Shell, system: engines.Platform, wanted: Sequence[str]) -> bool:
    """True if ONNX Runtime alone is wanted, and there is no space for it in Python, but for its library."""
    if tuple(wanted) != ("onnxruntime",) or system.glibc < GLIBC:
        return False
    free = free_bytes(shell)
    return free is not None and free < engines.needed_bytes(wanted)


@contextmanager
def _shell(name: str, entry: Entry) -> Iterator[Shell]:
    """A shell on a device of the inventory.

    Raises:
        UserError: It has no shell.
    """
    shell = open_shell(name, entry)
    try:
        yield shell
    finally:
        shell.close()
