"""`edgekit deploy`: a bundle as a program of its own, in a folder or on a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.reports.deploy import DeployReport
from edgekit.core.system.files import new_folder, refuse_existing
from edgekit.core.system.progress import Progress, Silent
from edgekit.flows.deploying.languages import chosen, language_of
from edgekit.flows.deploying.parts import parts_of
from edgekit.flows.opening.artifacts import opened_bundle


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
        with progress.stage("cases"):
            parts = parts_of(self.bundle, self.artifact)
        with new_folder(self.out, force=self.force) as folder:
            language_of(self.language).write(parts, folder)
            files = tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
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
