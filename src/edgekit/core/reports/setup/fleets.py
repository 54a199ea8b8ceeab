"""The documents of the commands of `edgekit fleet`."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.system.documents import Document

# 1: first version.
FLEET_REPORT_SCHEMA: Final = 1


class FleetServeReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where hosts join a fleet."""

    address: str
    command: str = "fleet serve"
    schema_version: int = FLEET_REPORT_SCHEMA


class FleetHostReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A host that joined the fleet at `address`: its own address, and its devices by their names in the fleet."""

    address: str
    host: str
    devices: dict[str, str]
    command: str = "fleet join"
    schema_version: int = FLEET_REPORT_SCHEMA


class FleetHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A host of a fleet and the names of its devices."""

    host: str
    devices: tuple[str, ...]


class FleetReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The hosts of a fleet."""

    address: str
    hosts: tuple[FleetHost, ...]
    command: str = "fleet list"
    schema_version: int = FLEET_REPORT_SCHEMA


class FleetKeysReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """New keys of a fleet, in `file`."""

    file: str
    command: str = "fleet keys"
    schema_version: int = FLEET_REPORT_SCHEMA
