"""`edgekit deploy`: a bundle as a program of its own, in a folder or on a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.errors import UserError
from edgekit.core.reports.deploy import DeployReport
from edgekit.core.system.files import new_folder, refuse_existing
from edgekit.core.system.progress import Progress, Silent
from edgekit.devices.remote.installed_programs import check_program_name
from edgekit.flows.deploying.installing import (
    DeployOrder,
    ListOrder,
    RollBackOrder,
    entry_of,
    program_name,
)
from edgekit.flows.deploying.languages import chosen, language_of
from edgekit.flows.deploying.program_parts import parts_of
from edgekit.flows.opening.artifacts import opened_bundle
from edgekit.flows.signing.policy import user_policy


@dataclass(frozen=True)
class ProgramOrder:
    """A program to write: the open bundle, its artifact, the language and the folder."""

    bundle: Bundle
    artifact: Artifact
    language: str
    out: Path
    force: bool
    command: str = "deploy"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        return (
            f"run '{self.artifact.recipe}' on the cases of '{self.bundle.path}'",
            f"write a program in '{self.language}' to '{self.out}'",
        )

    def run(self, progress: Progress) -> DeployReport:
        """Run the cases here, and write the program."""
        with ExitStack() as stack:
            with progress.stage("cases"):
                parts = stack.enter_context(parts_of(self.bundle, self.artifact))
            folder = stack.enter_context(new_folder(self.out, force=self.force, is_marked=True))
            language_of(self.language).write(parts, folder)
            files = tuple(
                sorted(path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if path.is_file())
            )
        return DeployReport(
            bundle=str(self.bundle.path),
            artifact=self.artifact.recipe,
            language=self.language,
            out=str(self.out),
            cases=parts.case_count,
            difference=parts.difference,
            files=files,
        )


@contextmanager
def program_order(
    path: str | Path,
    *,
    language: str,
    out: str | Path,
    artifact: str = "",
    force: bool = False,
    progress: Progress = Silent(),
) -> Iterator[ProgramOrder]:
    """Write one artifact of a bundle as a program that needs no edgekit.

    Args:
        language: A row of `LANGUAGES`, such as `python` or `c`.
        out: The folder to write.
        artifact: Recipe name or alias; if empty, the first that a program in this language runs.
        force: Replace the folder if it exists.

    Raises:
        UserError: The language cannot run the model, with the reason; or the folder exists.
    """
    language_of(language)
    refuse_existing(Path(out), force=force)
    with opened_bundle(Path(path), progress) as bundle:
        yield ProgramOrder(bundle, chosen(bundle, language, artifact), language, Path(out), force)


@contextmanager
def install_order(
    path: str | Path,
    *,
    device: str,
    name: str = "",
    artifact: str = "",
    key: Path | None = None,
    progress: Progress = Silent(),
) -> Iterator[DeployOrder]:
    """Install one artifact of a bundle as a program on a device, as a new version that is tested there.

    Args:
        device: A device of the inventory with Python and the backends of `edgekit devices prepare`.
        name: Name of the program there; if empty, that of the model.
        key: The key of OpenSSH that signs the program, for a device that asks for signatures.

    Raises:
        UserError: No such device, a name or artifact that cannot be used, or no key where the user's settings require
            signatures.
    """
    entry, must_verify = entry_of(device), user_policy().is_required
    if must_verify and key is None:
        raise UserError(
            "Your settings require signatures, and the program would have none.",
            hint=f"edgekit deploy {path} --to {device} --key KEY",
        )
    with opened_bundle(Path(path), progress) as bundle:
        named = name or program_name(bundle.spec.name)
        check_program_name(named)
        yield DeployOrder(bundle, chosen(bundle, "python", artifact), device, entry, named, key, must_verify)


@contextmanager
def roll_back_order(*, device: str, name: str) -> Iterator[RollBackOrder]:
    """Take a program on a device back to the version before, after its self-test."""
    check_program_name(name)
    yield RollBackOrder(device, entry_of(device), name)


@contextmanager
def list_order(*, device: str) -> Iterator[ListOrder]:
    """List the programs on a device with their versions."""
    yield ListOrder(device, entry_of(device))
