"""`edgekit deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import force_option
from edgekit.cli.common import Call, Command, common
from edgekit.cli.completion import names
from edgekit.cli.output import columns

if TYPE_CHECKING:
    from edgekit.core.reports.deploy import DeployedReport, DeployReport


@click.command(
    "deploy",
    cls=Command,
    examples=[
        "edgekit deploy digits.edgekit --for python --out digits-program",
        "edgekit deploy digits.edgekit --for c --artifact onnx-int8 --out digits-c",
        "edgekit deploy digits.edgekit --to pi5 --as digits",
        "edgekit deploy digits.edgekit --to pi5 --key ~/.ssh/id_ed25519",
        "edgekit deploy --to pi5 --list",
        "edgekit deploy --to pi5 --as digits --rollback",
    ],
)
@click.argument(
    "bundle", type=click.Path(path_type=Path), required=False, help="A bundle: a folder, or a file NAME.edgekit."
)
@click.option("--for", "language", metavar="LANGUAGE", help="Write a program: python, c, cpp, kotlin, js or systemd.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER", help="With --for: the folder to write.")
@click.option("--to", "device", metavar="DEVICE", shell_complete=names("devices"), help="Install it on a device.")
@click.option("--as", "name", default="", metavar="NAME", help="With --to: its name there.  [default: the model's]")
@click.option("--list", "is_list", is_flag=True, help="With --to: list the programs there with their versions.")
@click.option("--rollback", "is_rollback", is_flag=True, help="With --to and --as: go back to the version before.")
@click.option("--artifact", default="", metavar="RECIPE", help="Recipe or alias.  [default: the first that runs]")
@click.option(
    "--key", type=click.Path(path_type=Path), metavar="FILE", help="With --to: sign the program with this OpenSSH key."
)
@force_option
@common(acts=True)
def command(
    call: Call,
    bundle: Path | None,
    language: str | None,
    out: Path | None,
    device: str | None,
    name: str,
    is_list: bool,
    is_rollback: bool,
    artifact: str,
    key: Path | None,
    force: bool,
) -> int:
    """Write a bundle as a program that needs no edgekit, or install it on a device.

    The program contains one artifact with its labels and preprocessing, and a self-test with cases of the bundle. On a
    device, a new version becomes the current one when its self-test passes there.
    """
    if device and (is_list or is_rollback) and not (bundle or language or out or artifact or key):
        return _manage(call, device, name, is_rollback=is_rollback)
    if bundle and device and not (language or out or is_list or is_rollback):
        return _install(call, bundle, device, name, artifact, key)
    if not (bundle and language and out) or device or name or key or is_list or is_rollback:
        raise click.UsageError(
            "Give BUNDLE --for LANGUAGE --out FOLDER, or BUNDLE --to DEVICE, or --to DEVICE with --list or --rollback."
        )
    from edgekit.flows.deploy import program_order

    return call.perform(
        lambda progress: program_order(
            bundle, language=language, out=out, artifact=artifact, force=force, progress=progress
        ),
        lambda found: call.answer(found, _text),
    )


def _install(call: Call, bundle: Path, device: str, name: str, artifact: str, key: Path | None) -> int:
    from edgekit.flows.deploy import install_order

    return call.perform(
        lambda progress: install_order(bundle, device=device, name=name, artifact=artifact, key=key, progress=progress),
        lambda found: call.answer(found, lambda shown: shown.done),
    )


def _manage(call: Call, device: str, name: str, *, is_rollback: bool) -> int:
    from edgekit.flows.deploy import list_order, roll_back_order

    if not is_rollback:
        return call.perform(lambda _: list_order(device=device), lambda found: call.answer(found, _programs))
    if not name:
        raise click.UsageError("--rollback needs --as NAME; --list prints the names.")
    return call.perform(
        lambda _: roll_back_order(device=device, name=name), lambda found: call.answer(found, lambda shown: shown.done)
    )


def _text(found: DeployReport) -> str:
    lines = [f"'{found.artifact}' is written as a program in '{found.language}': {found.out}"]
    lines.append(f"Its self-test has {found.cases} cases; {found.out}/README.md says how to run it.")
    return "\n".join(lines)


def _programs(found: DeployedReport) -> str:
    if not found.programs:
        return f"'{found.device}' has no programs; edgekit deploy BUNDLE --to {found.device} installs one."
    rows = [
        (one.name if version == one.versions[0] else "", version, "current" if version == one.current else "")
        for one in found.programs
        for version in one.versions
    ]
    return columns([("program", "version", ""), *rows])
