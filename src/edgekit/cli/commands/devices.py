"""`edgekit devices`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import Duration, wait_option
from edgekit.cli.common import Call, Command, common
from edgekit.cli.completion import names
from edgekit.cli.output import columns
from edgekit.cli.program import Commands

if TYPE_CHECKING:
    from edgekit.core.reports.setup.devices import DeviceChangeReport, DeviceCheckReport, DeviceListReport

name_argument = click.argument("name", help="Name of the device in targets, e.g. pi5.")
known_name_argument = click.argument(
    "name", shell_complete=names("devices"), help="Name of the device in targets, e.g. pi5."
)


@click.group("devices", cls=Commands)
def command() -> None:
    """Manage the devices that targets name.

    edgekit connects to a device by ssh (a Raspberry Pi, any Linux), by adb (Android) or through its browser (any
    phone).
    """


@command.command("list", cls=Command, examples=["edgekit devices list"])
@common()
def list_(call: Call) -> None:
    """List all devices that a target can name."""
    from edgekit.flows.devices import list_devices

    found = list_devices()
    call.answer(found, _table)


@command.command(
    "add",
    cls=Command,
    examples=[
        "edgekit devices add pi5 --ssh pi@raspberrypi.local",
        "edgekit devices add phone --adb 39121FDJH00123",
        "edgekit devices add browser --web 127.0.0.1",
        "edgekit devices add pi4 --fleet tls://lab.example:8786 --keys fleet.pem",
    ],
)
@name_argument
@click.option("--ssh", metavar="ADDRESS", help="Host, user@host, or a host of your ssh configuration.")
@click.option("--adb", metavar="SERIAL", help="Serial number that 'adb devices' prints.")
@click.option("--web", metavar="ADDRESS", help="Address of this machine that the browser can open.")
@click.option(
    "--cable", metavar="SERIAL", help="With --web: the phone's adb serial, or 'any'; forwards the port to it."
)
@click.option("--fleet", metavar="ADDRESS", help="Address of the fleet in which a host offers it by this name.")
@click.option("--keys", metavar="FILE", help="With --fleet: the file with the keys of the fleet.")
@click.option("--port", type=int, metavar="NUMBER", help="Port of the transport.")
@click.option("--ssh-config", metavar="FILE", help="ssh configuration to use instead of your own.")
@click.option("--emulated", is_flag=True, help="Its times are not a latency: show only correctness.")
@click.option("--counter", metavar="COMMAND", help="With --emulated: the command that counts instructions there.")
@click.option("--timeout", "timeout_s", type=Duration(), metavar="TIME", help="Time limit for one launch (300s).")
@click.option("--force", is_flag=True, help="Replace a device of that name.")
@common(acts=True)
def add(call: Call, name: str, force: bool, emulated: bool, **given: str | float | None) -> int:
    """Add a device without connecting to it."""
    from edgekit.devices.inventory import Entry
    from edgekit.flows.devices import add_order

    chosen = {option: value for option, value in given.items() if value is not None}
    entry = Entry(emulated=emulated, **chosen)  # type: ignore[arg-type] # click has converted each option
    return call.perform(lambda _: add_order(name, entry, force=force), lambda done: _show(call, done))


@command.command("check", cls=Command, examples=["edgekit devices check pi5"])
@known_name_argument
@common()
def check(call: Call, name: str) -> int:
    """Check that a device is ready, and print how to fix it."""
    from edgekit.core.errors import DeviceError
    from edgekit.flows.devices import check_device

    with call.progress() as progress, progress.stage(f"checking '{name}'"):
        found = check_device(name, progress=progress)
    call.answer(found, _checks)
    return 0 if found.is_ready else DeviceError.exit_code


@command.command(
    "prepare",
    cls=Command,
    examples=["edgekit devices prepare pi5", "edgekit devices prepare small --backend onnxruntime"],
)
@known_name_argument
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(["onnxruntime", "litert", "tflite-runtime"]),
    help="Install this backend alone; repeat for several.",
)
@click.option(
    "--libraries",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="For a phone: the folder that contains a C library for its processor.",
)
@wait_option
@common(acts=True)
def prepare(call: Call, name: str, backends: tuple[str, ...], libraries: Path | None, wait: float | None) -> int:
    """Install the backends on a device, which then needs no network."""
    from edgekit.flows.devices import prepare_order

    settings = call.settings(wait_s=wait)
    return call.perform(
        lambda progress: prepare_order(
            name, settings=settings, backends=backends, libraries=libraries, progress=progress
        ),
        lambda done: _show(call, done),
    )


@command.command("clean", cls=Command, examples=["edgekit devices clean pi5"])
@known_name_argument
@wait_option
@common(acts=True)
def clean(call: Call, name: str, wait: float | None) -> int:
    """Remove everything that edgekit installed on a device."""
    from edgekit.flows.devices import clean_order

    settings = call.settings(wait_s=wait)
    return call.perform(lambda _: clean_order(name, settings=settings), lambda done: _show(call, done))


@command.command("remove", cls=Command, examples=["edgekit devices remove pi5"])
@known_name_argument
@common(acts=True)
def remove(call: Call, name: str) -> int:
    """Remove a device from the inventory; files on it stay."""
    from edgekit.flows.devices import remove_order

    return call.perform(lambda _: remove_order(name), lambda done: _show(call, done))


def _show(call: Call, done: DeviceChangeReport) -> None:
    call.answer(done, lambda shown: shown.done)


def _table(found: DeviceListReport) -> str:
    rows = [(one.name, one.transport, f"{one.address}{' (emulated)' if one.emulated else ''}") for one in found.devices]
    return columns(rows)


def _checks(found: DeviceCheckReport) -> str:
    lines = [columns((one.name, one.state, one.found) for one in found.checks)]
    lines += [f"Fix {one.name}: {one.mend}" for one in found.checks if one.mend]
    return "\n".join(lines)
