"""The documents of `edgekit devices`: the inventory, the checks of one device, and what was changed."""

from __future__ import annotations

from typing import Final

import msgspec

OK: Final = "ok"
WARNING: Final = "warning"
PROBLEM: Final = "problem"


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that was looked at: `state` is ok, warning or problem; `mend` is what to do about it."""

    name: str
    state: str
    found: str
    mend: str = ""


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One device as it is listed: how it is reached, and where."""

    name: str
    transport: str
    address: str
    emulated: bool = False


class DeviceListReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every device that a target may name, and the file that the user's own stand in."""

    file: str
    devices: tuple[Listed, ...]
    command: str = "devices list"
    schema_version: int = 1


class DeviceCheckReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was looked at on one device, in order."""

    device: str
    checks: tuple[Check, ...]
    command: str = "devices check"
    schema_version: int = 1

    @property
    def is_ready(self) -> bool:
        """True when nothing stands in the way of a job."""
        return all(one.state != PROBLEM for one in self.checks)


class DeviceChangeReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was done to one device, or to the inventory, in one sentence."""

    device: str
    done: str
    command: str
    schema_version: int = 1
