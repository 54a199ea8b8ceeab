"""Models that `edgekit check` exports itself: from the working tree, and from the baseline commit."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgekit.core.errors import EnvironmentFault, UserError
from edgekit.core.recipe import parse_recipes
from edgekit.core.system.check_settings import MADE, CheckedModel, CheckFile
from edgekit.core.system.confined.project_paths import inside, is_model, refuse_foreign
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.files import new_folder, write_atomic
from edgekit.core.system.installation import system_install
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import Settings
from edgekit.export.routes import default_recipes
from edgekit.flows.opening.source import ExportOptions, SourceOptions, ready_source
from edgekit.flows.writing.bundle import write_bundle


def make_models(config: Path, file: CheckFile, settings: Settings, progress: Progress) -> None:
    """Export every model that has a source; with `baseline_commit`, its baseline from the sources of that commit.

    This executes the code of both. Conversions with unchanged inputs come from the cache.

    Raises:
        UserError: No such commit, or no such source in it.
        EnvironmentFault: git is not installed, or this is not a git repository.
        ConversionFailed, Unreadable: As their messages say.
    """
    made = [model for model in file.models if model.source]
    for model in made:
        for place in [model.path, *([model.baseline] if file.baseline_commit else [])]:
            refuse_foreign(config.parent / place, f"The export of '{model.called}'")
    if any(model.path.startswith(f"{MADE}/") for model in made):
        _ignore(config.parent / MADE)
    if file.baseline_commit and made:
        with checked_out(config.parent, file.baseline_commit) as folder:
            for model in made:
                with progress.stage(f"export {model.called} of {file.baseline_commit}"):
                    _export(model, folder, config.parent / model.baseline, settings, progress)
    for model in made:
        with progress.stage(f"export {model.called}"):
            _export(model, config.parent, config.parent / model.path, settings, progress)


def _ignore(folder: Path) -> None:
    """Make the folder of what is made anew in each run, which git does not see."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / ".gitignore", b"*\n")


def making_steps(file: CheckFile) -> list[str]:
    """What `make_models` would do, one sentence per step."""
    made = [model for model in file.models if model.source]
    before = [f"export '{one.source}' of {file.baseline_commit} to '{one.baseline}'" for one in made]
    return [*(before if file.baseline_commit else []), *(f"export '{one.source}' to '{one.path}'" for one in made)]


@contextmanager
def checked_out(folder: Path, commit: str) -> Iterator[Path]:
    """A temporary copy of `folder` at `commit`; the working tree and the repository are not changed.

    Raises:
        UserError: No such commit.
        EnvironmentFault: git is not installed, or `folder` is not in a git repository.
    """
    prefix = _git(folder, ["rev-parse", "--show-prefix"]).decode().strip()
    digest = _resolved(folder, commit)
    with temporary_folder("edgekit-commit-") as copy:
        archive = Path(copy) / ".tar"
        _git(folder, ["-C", _top(folder), "archive", f"--output={archive}", digest])
        with tarfile.open(archive) as content:
            content.extractall(copy, filter="data")
        archive.unlink()
        yield Path(copy) / prefix


def _export(model: CheckedModel, folder: Path, out: Path, settings: Settings, progress: Progress) -> None:
    options = SourceOptions(
        weights=_inside(folder, model.weights),
        inputs=model.inputs,
        sizes=model.sizes,
        samples=_inside(folder, model.samples),
    )
    source = model.source
    if ".py:" in source or Path(source).suffix:
        source = str(inside(folder, source, "The configuration"))
    recipes = parse_recipes(model.to or default_recipes(source))
    ready = ready_source(source, options, ExportOptions(keep_going=False), recipes, settings, progress)
    with new_folder(out, force=True, wait_s=settings.timeout_s, may_replace=is_model) as staging:
        write_bundle(ready, recipes, staging, settings, progress)


def _inside(folder: Path, name: str) -> Path | None:
    return inside(folder, name, "The configuration") if name else None


def _resolved(folder: Path, commit: str) -> str:
    try:
        return (
            _git(folder, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"])
            .decode()
            .strip()
        )
    except EnvironmentFault as err:
        raise UserError(
            f"There is no commit '{commit}' here.", hint="git fetch --unshallow, or --baseline-commit HEAD~1"
        ) from err


def _top(folder: Path) -> str:
    return _git(folder, ["rev-parse", "--show-toplevel"]).decode().strip()


def _git(folder: Path, arguments: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError as err:
        raise EnvironmentFault("git is not installed.", hint=system_install("git")) from err
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise EnvironmentFault(f"git {arguments[0]} failed in '{folder}': {said[-1] if said else 'no reason given'}.")
    return done.stdout
