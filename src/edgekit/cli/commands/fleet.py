"""`edgekit fleet`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import path_type
from edgekit.cli.common import Call, Command, common
from edgekit.cli.output import columns
from edgekit.cli.program import Commands

if TYPE_CHECKING:
    from edgekit.core.reports.setup.fleets import FleetReport

_LOOPBACK = "127.0.0.1"
_PORT = 8786

keys_option = click.option(
    "--keys",
    "key_file",
    type=path_type,
    metavar="FILE",
    help="The file with the keys of the fleet.",
)
address_argument = click.argument("address", help="Address of the fleet, such as tls://lab.example:8786.")


@click.group("fleet", cls=Commands)
def command() -> None:
    """Offer devices to others, and use those of other hosts, through Dask.

    'serve' runs the scheduler, and 'join' on each host with devices offers them. 'edgekit devices add NAME --fleet
    ADDRESS' makes such a device a target of every command. The keys of a fleet let their owner run code on its hosts.
    """


@command.command("keys", cls=Command, examples=["edgekit fleet keys fleet.pem"])
@click.argument("file", type=path_type, help="Where to write them.")
@common()
def keys_command(call: Call, file: Path) -> None:
    """Write the keys of a new fleet, valid for a year.

    The same file belongs on the scheduler, on each host and on the machines of users, and nowhere else.
    """
    from edgekit.flows.fleet.hosts import make_keys

    call.answer(
        make_keys(file), lambda found: f"'{found.file}' is the key to every host of the fleet: copy it with care."
    )


@command.command(
    "serve",
    cls=Command,
    examples=["edgekit fleet serve", "edgekit fleet serve --host 192.168.1.5 --keys fleet.pem"],
)
@click.option("--host", default=_LOOPBACK, show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=_PORT,
    show_default=True,
    metavar="NUMBER",
    help="Port to listen on; 0 for a free one.",
)
@keys_option
@common()
def serve_command(call: Call, host: str, port: int, key_file: Path | None) -> None:
    """Run the scheduler of a fleet, until Ctrl-C.

    Any address but that of this machine alone needs keys.
    """
    from edgekit.core.reports.setup.fleets import FleetServeReport
    from edgekit.flows.fleet.hosts import serve_fleet

    def ready(found: FleetServeReport) -> None:
        keys = f" --keys {shlex.quote(str(key_file))}" if key_file else ""
        call.answer(found, lambda shown: f"Hosts join with: edgekit fleet join {shown.address} --devices NAME{keys}")
        call.note("Ctrl-C stops it.")

    serve_fleet(host, port, key_file, ready)


@command.command(
    "join",
    cls=Command,
    examples=[
        "edgekit fleet join tls://lab.example:8786 --keys fleet.pem --devices pi4,pi5",
        "edgekit fleet join 127.0.0.1:8786 --devices desk=local",
    ],
)
@address_argument
@click.option(
    "--devices",
    required=True,
    multiple=True,
    metavar="NAME,...",
    help="Devices of this machine to offer; NAME=DEVICE offers one by another name.",
)
@keys_option
@common()
def join_command(call: Call, address: str, devices: tuple[str, ...], key_file: Path | None) -> None:
    """Offer devices of this machine to a fleet, until Ctrl-C.

    Each device runs one launch at a time, wherever it comes from. If the scheduler is lost, this waits for it and joins
    again.
    """
    from edgekit.core.reports.setup.fleets import FleetHostReport
    from edgekit.flows.fleet.hosts import join_fleet

    def ready(found: FleetHostReport) -> None:
        call.answer(found, lambda shown: f"{', '.join(shown.devices)} joined the fleet at {shown.address}")
        call.note("Ctrl-C leaves it.")

    names = [name.strip() for text in devices for name in text.split(",") if name.strip()]
    join_fleet(address, names, key_file, call.settings(), ready)


@command.command("list", cls=Command, examples=["edgekit fleet list tls://lab.example:8786 --keys fleet.pem"])
@address_argument
@keys_option
@common()
def list_command(call: Call, address: str, key_file: Path | None) -> None:
    """List the hosts of a fleet with their devices."""
    from edgekit.flows.fleet.hosts import list_fleet

    call.answer(list_fleet(address, key_file), _table)


def _table(found: FleetReport) -> str:
    if not found.hosts:
        return f"No host has joined the fleet at {found.address}."
    rows = [(name, one.host) for one in found.hosts for name in one.devices]
    return columns([("device", "host"), *rows])
