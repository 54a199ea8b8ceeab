"""Programs on devices: installed from a bundle, listed, and rolled back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.errors import UserError, unknown
from edgekit.core.reports.deploy import DeployedProgram, DeployedReport
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.progress import Progress
from edgekit.devices import inventory
from edgekit.devices.inventory import Entry
from edgekit.devices.remote.installed_programs import (
    PURPOSE,
    install_program,
    installed,
    require_python,
    roll_back,
)
from edgekit.devices.remote.shell import Shell
from edgekit.flows.deploying.program_parts import parts_of
from edgekit.flows.deploying.python_program import ZIPAPP, write_zipapp
from edgekit.flows.opening.devices import open_shell
from edgekit.flows.signing.ssh_signatures import sign


@dataclass(frozen=True)
class DeployOrder:
    """A program to install on a device: the open bundle, its artifact, the name it gets there, and who signs it.

    `must_verify` is true if the user's settings require a signature: then also the device has to ask for one.
    """

    bundle: Bundle
    artifact: Artifact
    device: str
    entry: Entry
    name: str
    key: Path | None = None
    must_verify: bool = False
    command: str = "deploy"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        signed = (f"sign the program with '{self.key}'",) if self.key else ()
        return (
            f"run '{self.artifact.recipe}' on the cases of '{self.bundle.path}'",
            *signed,
            f"send it to '{self.device}' as a new version of '{self.name}', and run its self-test there",
            "make it the current version; the one before stays if the self-test fails",
        )

    def run(self, progress: Progress) -> DeployedReport:
        """Run the cases here, then install and test the program there; errors as in `require_python` too."""
        with ExitStack() as stack:
            shell = stack.enter_context(_shell(self.device, self.entry))
            require_python(shell)
            program = Path(stack.enter_context(temporary_folder())) / ZIPAPP
            with progress.stage("cases"), parts_of(self.bundle, self.artifact) as parts:
                write_zipapp(parts, program)
            signature = self._signature(program)
            with progress.stage(f"install on '{self.device}'"):
                version, said = install_program(
                    shell, self.name, program, signature=signature, must_verify=self.must_verify
                )
            done = f"'{self.name}' on '{self.device}' is version {version} now: {said}"
            return _report(self.device, shell, self.name, done)

    def _signature(self, program: Path) -> Path | None:
        """The file of the signature of `program`, next to it; None without a key."""
        if self.key is None:
            return None
        file = program.with_name(f"{program.name}.sig")
        file.write_bytes(sign(program, self.key, PURPOSE))
        return file


@dataclass(frozen=True)
class RollBackOrder:
    """A program on a device to take back to the version before."""

    device: str
    entry: Entry
    name: str
    command: str = "deploy"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        return (
            f"run the self-test of the version before on '{self.device}'",
            f"make it the current one of '{self.name}'",
        )

    def run(self, progress: Progress) -> DeployedReport:
        """Test the earlier version, and switch to it."""
        with _shell(self.device, self.entry) as shell, progress.stage(f"roll back on '{self.device}'"):
            version, said = roll_back(shell, self.name)
            done = f"'{self.name}' on '{self.device}' is back at version {version}: {said}"
            return _report(self.device, shell, self.name, done)


@dataclass(frozen=True)
class ListOrder:
    """The programs of a device, to be listed."""

    device: str
    entry: Entry
    command: str = "deploy"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        return (f"list the programs on '{self.device}'",)

    def run(self, progress: Progress) -> DeployedReport:
        """Ask the device."""
        with _shell(self.device, self.entry) as shell:
            return _report(self.device, shell, "", "")


def program_name(text: str) -> str:
    """A folder name for a model's name from a bundle."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:64] or "model"


def entry_of(device: str) -> Entry:
    """The entry of a device with a shell.

    Raises:
        UserError: No such device (the nearest is suggested), or it is a browser.
    """
    entries = inventory.read_inventory()
    if device not in entries:
        raise unknown("device", device, entries, hint="edgekit devices list")
    if entries[device].transport == "web":
        raise UserError(f"'{device}' is a browser; nothing is installed there.", hint="edgekit deploy BUNDLE --for js")
    return entries[device]


def _report(device: str, shell: Shell, name: str, done: str) -> DeployedReport:
    programs = (DeployedProgram(one.name, one.current, one.versions) for one in installed(shell))
    return DeployedReport(device=device, done=done, programs=tuple(one for one in programs if name in ("", one.name)))


@contextmanager
def _shell(device: str, entry: Entry) -> Iterator[Shell]:
    shell = open_shell(device, entry)
    try:
        yield shell
    finally:
        shell.close()
