"""Devices by the names in targets, opened over the transport in the inventory."""

from __future__ import annotations

import fnmatch
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, cast

from edgekit.core.errors import UserError, unknown
from edgekit.core.system.optional import need
from edgekit.core.system.settings import load_settings
from edgekit.core.target import Target, parse_targets
from edgekit.devices import inventory
from edgekit.devices.device import DEVICES, Device
from edgekit.devices.inventory import Entry
from edgekit.devices.remote.shell import Shell
from edgekit.devices.web import packages
from edgekit.flows.opening.cache import cache_folder
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER

_PATTERN: Final = re.compile(r"[*?\[]")


def open_device(name: str) -> Device:
    """The device called `name`, of the inventory or built in; close it.

    Raises:
        UserError: No device of that name (the nearest is suggested).
    """
    entries = inventory.read_inventory()
    if name in entries:
        return _opened(name, entries[name])
    if name not in DEVICES:
        raise unknown("device", name, [*DEVICES, *entries], hint="edgekit devices list")
    device: Device = DEVICES.get(name)()
    return device


def named_targets(texts: str | Iterable[str]) -> tuple[Target, ...]:
    """Targets from texts in which a device may also be a group of the inventory, or a pattern such as `pi*`.

    Raises:
        UserError: As in `parse_targets`, or a pattern that fits no device.
    """
    parts = [texts] if isinstance(texts, str) else list(texts)
    return parse_targets([one for text in parts for part in text.split(",") for one in _expanded(part.strip())])


def _expanded(text: str) -> list[str]:
    name = re.split("[/@]", text)[0]
    if _PATTERN.search(name):
        known = inventory.read_inventory()
        found = fnmatch.filter(known, name)
        if not found:
            raise unknown("device", name, [*DEVICES, *known], hint="edgekit devices list")
    else:
        found = list(inventory.read_groups().get(name, (name,)))
    return [one + text[len(name) :] for one in found]


def open_shell(name: str, entry: Entry) -> Shell:
    """The shell that reaches a device of the inventory."""
    from edgekit.devices.remote.adb import AdbShell
    from edgekit.devices.remote.ssh import SshShell

    if entry.transport == "ssh":
        return SshShell(name, entry.ssh, port=entry.port, config=entry.ssh_config)
    if entry.transport == "adb":
        return AdbShell(name, entry.adb, port=entry.port)
    if entry.transport == "fleet":
        message = f"'{name}' is a device of a fleet, which its host checks and cleans."
        keys = f" --keys {shlex.quote(entry.keys)}" if entry.keys else ""
        raise UserError(message, hint=f"edgekit fleet list {shlex.quote(entry.fleet)}{keys}")
    message = f"'{name}' is a browser, which needs no check or cleaning."
    raise UserError(message, hint=f"edgekit profile BUNDLE --target {name}")


def _opened(name: str, entry: Entry) -> Device:
    if entry.transport == "fleet":
        from edgekit.devices.fleet.fleet_device import FleetDevice
        from edgekit.devices.fleet.keys import address_of

        keys = Path(entry.keys) if entry.keys else None
        return cast(Device, FleetDevice(name, address_of(entry.fleet, keys), keys))
    from edgekit.devices.remote.adb import Cable
    from edgekit.devices.remote.shell_device import Runners, ShellDevice
    from edgekit.devices.web.browser import WebDevice

    if entry.transport == "web":
        found = packages.require(_cache(), name)
        host, port = entry.web, entry.port or 0
        cable = Cable(name, entry.cable) if entry.cable else None
        return WebDevice(name, found, show_address, host=host, port=port, timeout_s=entry.timeout_s, cable=cable)
    shell = open_shell(name, entry)
    runners = Runners(PYTHON_RUNNER, C_RUNNERS)
    return ShellDevice(shell, runners, emulated=entry.emulated, counter=entry.counter, timeout_s=entry.timeout_s)


def show_address(url: str) -> None:
    """Print the address to open on the phone to stderr, with a QR code on a terminal."""
    sys.stderr.write(f"Open {url} in the phone's browser and keep the page in the foreground.\n")
    if sys.stderr.isatty():
        need("segno", extra="devices").make(url).terminal(out=sys.stderr, compact=True)


def _cache() -> Path:
    """The cache that the environment and the configuration files name."""
    return cache_folder(load_settings()[0])
