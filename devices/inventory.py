"""The inventory: the user's devices in one TOML file, by the names used in targets."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.errors import UserError, unknown
from edgekit.core.system.durable.claims import SHORT_S, claimed
from edgekit.core.system.files import read_bytes, write_atomic
from edgekit.core.system.native.types import prepared
from edgekit.devices.device import DEVICES

# 1: first version.
INVENTORY_SCHEMA: Final = 1
GROUPS: Final = "groups"
NAME: Final = re.compile(r"[A-Za-z0-9_][\w.-]*")
_TRANSPORTS: Final = ("ssh", "adb", "web", "fleet")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One device: exactly one of `ssh` (an address), `adb` (a serial number), `web` (an address to serve on), `fleet`.

    `port` is the port of the transport, `ssh_config` a configuration file that replaces the user's own. `emulated`
    means that times on it are not latencies; `counter` is the command on the device that counts instructions
    (`docs/emulation.md`). `timeout_s` limits one launch. `cable` is the adb serial number of the phone whose browser
    it is (or `any`): edgekit forwards the port through the cable, so that the phone opens the page on its loopback.
    `fleet` is the address of a fleet in which a host offers the device by this name, and `keys` the file with its keys.
    """

    ssh: str = ""
    adb: str = ""
    web: str = ""
    port: int | None = None
    ssh_config: str = ""
    emulated: bool = False
    counter: str = ""
    cable: str = ""
    fleet: str = ""
    keys: str = ""
    timeout_s: float = 300.0

    @property
    def transport(self) -> str:
        """`ssh`, `adb`, `web` or `fleet`."""
        return next(name for name in _TRANSPORTS if getattr(self, name))

    @property
    def address(self) -> str:
        """The address at which the transport reaches it."""
        return str(getattr(self, self.transport))


def inventory_file() -> Path:
    """`EDGEKIT_DEVICES`, or `devices.toml` in the user's configuration folder."""
    named = os.environ.get("EDGEKIT_DEVICES")
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_config_path("edgekit") / "devices.toml"


def read_inventory(path: Path | None = None) -> dict[str, Entry]:
    """Every device of the inventory by name; empty if there is no file.

    Raises:
        UserError: The file is invalid; all its problems at once.
    """
    return _read(path)[0]


def read_groups(path: Path | None = None) -> dict[str, tuple[str, ...]]:
    """The names of the devices in each group of the table `[groups]`; errors as in `read_inventory`."""
    return _read(path)[1]


def _read(path: Path | None) -> tuple[dict[str, Entry], dict[str, tuple[str, ...]]]:
    path = path or inventory_file()
    if not path.is_file():
        return {}, {}
    try:
        content = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise UserError(f"'{path}' is not TOML: {err}.") from err
    version = content.pop("schema_version", INVENTORY_SCHEMA)
    if not isinstance(version, int) or version > INVENTORY_SCHEMA:
        raise UserError(f"'{path}' has schema {version}; this edgekit reads up to {INVENTORY_SCHEMA}.")
    groups = content.pop(GROUPS, {})
    entries = _checked(path, content)
    return entries, _checked_groups(path, groups, entries)


def _checked_groups(path: Path, groups: object, entries: Mapping[str, Entry]) -> dict[str, tuple[str, ...]]:
    try:
        found = msgspec.convert(groups, prepared(dict[str, tuple[str, ...]]))
    except msgspec.ValidationError as err:
        raise UserError(f"'{path}' [{GROUPS}]: {err}.", hint='lab = ["pi4", "pi5"]') from err
    for group, names in found.items():
        for name in names:
            if name not in entries and name not in DEVICES:
                raise unknown(f"device in group '{group}'", name, [*DEVICES, *entries], hint="edgekit devices list")
    return found


def write_inventory(entries: Mapping[str, Entry], path: Path | None = None) -> None:
    """Replace the inventory with `entries`, completely or not at all."""
    groups = _read(path)[1]
    lines = ["# Devices for edgekit; written by 'edgekit devices add' and 'remove', and by you.", ""]
    lines += [f"schema_version = {INVENTORY_SCHEMA}", ""]
    for name, entry in entries.items():
        lines.append(f"[{name if re.fullmatch(r'[A-Za-z0-9_-]+', name) else json.dumps(name)}]")
        defaults = Entry()
        for field in Entry.__struct_fields__:
            value = getattr(entry, field)
            if value != getattr(defaults, field):
                lines.append(f"{field} = {json.dumps(value)}")
        lines.append("")
    kept = {group: [name for name in names if name in entries or name in DEVICES] for group, names in groups.items()}
    if kept:
        lines += [f"[{GROUPS}]", *(f"{json.dumps(group)} = {json.dumps(names)}" for group, names in kept.items()), ""]
    write_atomic(path or inventory_file(), "\n".join(lines).encode())


def add(name: str, entry: Entry, *, force: bool = False, path: Path | None = None) -> None:
    """Add a device to the inventory.

    Raises:
        UserError: The name is taken or not possible in a target, or the entry does not have exactly one transport.
    """
    problems = [*_problems(name, entry)]
    if problems:
        free = f"my-{name}" if name in DEVICES else name if NAME.fullmatch(name) else "pi"
        raise UserError(" ".join(problems), hint=f"edgekit devices add {free} --ssh pi@raspberrypi")
    with claimed(path or inventory_file(), wait_s=SHORT_S):
        entries = read_inventory(path)
        if name in entries and not force:
            raise UserError(f"Device '{name}' already exists.", hint=f"edgekit devices remove {name}, or add --force")
        write_inventory({**entries, name: entry}, path)


def remove(name: str, path: Path | None = None) -> None:
    """Remove a device from the inventory.

    Raises:
        UserError: The device is not in it; the nearest name is suggested.
    """
    with claimed(path or inventory_file(), wait_s=SHORT_S):
        entries = read_inventory(path)
        if name not in entries:
            raise unknown("device", name, entries, hint="edgekit devices list")
        del entries[name]
        write_inventory(entries, path)


def _checked(path: Path, content: Mapping[str, object]) -> dict[str, Entry]:
    entries, problems = {}, []
    for name, table in content.items():
        try:
            entry = msgspec.convert(table, prepared(Entry))
        except msgspec.ValidationError as err:
            problems.append(f"{name}: {err}")
            continue
        problems += [f"{name}: {problem}" for problem in _problems(name, entry)]
        entries[name] = entry
    if problems:
        raise UserError(f"'{path}' is not a valid inventory:" + "".join(f"\n  {problem}" for problem in problems))
    return entries


def _problems(name: str, entry: Entry) -> list[str]:
    found = []
    if not NAME.fullmatch(name):
        found.append(f"'{name}' is not a valid device name: use only letters, digits, '_', '-' and '.'.")
    if name == GROUPS:
        found.append(f"'{GROUPS}' is the name of the table of groups.")
    if name in DEVICES:
        found.append(f"'{name}' is the name of a built-in device.")
    given = [transport for transport in _TRANSPORTS if getattr(entry, transport)]
    if len(given) != 1:
        found.append(f"expected one of {', '.join(_TRANSPORTS)}, got {', '.join(given) or 'none'}.")
    if entry.port is not None and not 1 <= entry.port <= 65535:
        found.append(f"port: expected 1 to 65535, got {entry.port}.")
    if entry.cable and not entry.web:
        found.append("cable: works only with 'web' (a browser); for the phone itself use 'adb'.")
    if entry.keys and not entry.fleet:
        found.append("keys: works only with 'fleet'.")
    if entry.fleet and (entry.emulated or entry.port or entry.ssh_config):
        found.append("fleet: takes only 'keys'; what the device is, its host says.")
    if entry.counter and not (entry.emulated and (entry.ssh or entry.adb)):
        found.append("counter: instructions are counted only on emulated devices with ssh or adb.")
    if not 1 <= entry.timeout_s <= 86400:
        found.append(f"timeout_s: expected 1 to 86400, got {entry.timeout_s:g}.")
    return found
