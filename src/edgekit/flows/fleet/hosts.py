"""The programs of a fleet and what it offers: `edgekit fleet serve`, `join`, `list` and `keys`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path

from edgekit.core.errors import UserError
from edgekit.core.reports.setup.fleets import FleetHost, FleetHostReport, FleetKeysReport, FleetReport, FleetServeReport
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.settings import Settings
from edgekit.devices.device import Device
from edgekit.devices.fleet import hosting, keys
from edgekit.devices.fleet.connection import Connection
from edgekit.devices.fleet.host import Host
from edgekit.devices.inventory import NAME, read_inventory
from edgekit.flows.fleet.holding import held
from edgekit.flows.fleet.together import Stop
from edgekit.flows.opening.devices import open_device


def serve_fleet(host: str, port: int, key_file: Path | None, ready: Callable[[FleetServeReport], None]) -> None:
    """Run the scheduler of a fleet until Ctrl-C; arguments and errors as in `hosting.schedule`.

    Raises:
        UserError: Others can reach `host`, and there are no keys; or there is no such file.
    """
    if key_file is None:
        keys.refuse_open(host)
    hosting.schedule(host, port, key_file, lambda address: ready(FleetServeReport(address=address)))


def join_fleet(
    address: str,
    devices: Sequence[str],
    key_file: Path | None,
    settings: Settings,
    ready: Callable[[FleetHostReport], None],
) -> None:
    """Offer devices of this machine to the fleet at `address` until Ctrl-C.

    Args:
        devices: Names of devices here, or `NAME=DEVICE` for another name in the fleet.
        ready: Called when this machine has joined.

    Raises:
        UserError: A name is unknown, is given twice, or is itself a device of a fleet; or as in `keys.address_of`.
        MissingExtra, Unreadable: As in `hosting.join`, `keys.security_of`.
    """
    whole, offered = keys.address_of(address, key_file), _offered(devices)
    keys.security_of(key_file)

    def alone(device: Device) -> AbstractContextManager[Device]:
        return held(device, Stop(), wait_s=settings.wait_s)

    def joined(here: str) -> None:
        ready(FleetHostReport(address=whole, host=here, devices=offered))

    opens = {name: partial(open_device, device) for name, device in offered.items()}
    with temporary_folder() as folder, closing(Host(opens, alone, Path(folder))) as host:
        hosting.join(whole, key_file, host, Path(folder), joined)


def list_fleet(address: str, key_file: Path | None) -> FleetReport:
    """The hosts of a fleet with their devices.

    Raises:
        DeviceUnavailable: There is none at the address.
        UserError, MissingExtra, Unreadable: As in `join_fleet`.
    """
    whole = keys.address_of(address, key_file)
    connection = Connection(whole, key_file, patience_s=0.0)
    try:
        hosts = connection.offers()
    finally:
        connection.close()
    return FleetReport(address=whole, hosts=tuple(FleetHost(*one) for one in sorted(hosts.items())))


def make_keys(path: Path) -> FleetKeysReport:
    """Write the keys of a new fleet; errors as in `keys.write_keys`."""
    keys.write_keys(path)
    return FleetKeysReport(file=str(path))


def _offered(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    entries = read_inventory()
    if not texts:
        raise UserError("No device is named.", hint="--devices pi4,desk=local")
    for text in texts:
        name, _, device = text.partition("=")
        device = device or name
        if not NAME.fullmatch(name):
            raise UserError(f"'{text}' is not the name of a device.", hint="--devices pi4,desk=local")
        if name in found:
            raise UserError(f"'{name}' is offered twice.", hint=f"--devices {name}-2={device}")
        if device in entries and entries[device].fleet:
            raise UserError(f"'{device}' is itself a device of a fleet.", hint="edgekit devices list")
        open_device(device).close()
        found[name] = device
    return found
