"""The documents of `edgekit devices`: the inventory, the checks of one device, and changes."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.system.documents import Document

OK: Final = "ok"
WARNING: Final = "warning"
PROBLEM: Final = "problem"


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One check: `state` is ok, warning or problem; the last field is what to do about it."""

    name: str
    state: str
    found: str
    mend: str = ""


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One device of the inventory, with its transport and address."""

    name: str
    transport: str
    address: str
    emulated: bool = False


class DeviceListReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every device that a target can name, and the file that lists those of the user."""

    file: str
    devices: tuple[Listed, ...]
    command: str = "devices list"
    schema_version: int = 1


class DeviceCheckReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The checks of one device, in order."""

    device: str
    checks: tuple[Check, ...]
    command: str = "devices check"
    schema_version: int = 1

    @property
    def is_ready(self) -> bool:
        """True if there is no problem, so that the device can run jobs."""
        return all(one.state != PROBLEM for one in self.checks)


class DeviceChangeReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One sentence on what was changed on a device or in the inventory."""

    device: str
    done: str
    command: str
    schema_version: int = 1
