"""Whose code a user lets edgekit run: that of packages and of a project. Remembered outside of the repository."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

import msgspec
import platformdirs

from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.system import documents
from edgekit.core.system.durable.claims import SHORT_S, claimed
from edgekit.core.system.settings import PROJECT_FILE, Settings
from edgekit.export.factory_call import is_factory, parse_factory

# 1: first version.
TRUST_SCHEMA: Final = 1
_FILE: Final = "trust.json"
_OWN: Final = "edgekit"
# The code of the project itself, in the setting and where it is remembered.
PROJECT_CODE: Final = "."
_MARKS: Final = (PROJECT_FILE, "pyproject.toml", ".git")


class Trusted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of packages by the folder of the project in which `--trust` was given."""

    packages: dict[str, tuple[str, ...]] = {}
    schema_version: int = TRUST_SCHEMA


def require_trust(package: str, source: str, settings: Settings, *, is_given: bool) -> tuple[str, ...]:
    """Raise unless the user lets edgekit run the code of `package`; `is_given` says so, for now and for later.

    Packages in the current folder are the user's own, like a file of theirs. The setting `trust` names packages for
    machines that remember nothing, such as those of CI.

    Returns:
        A warning if that cannot be remembered.

    Raises:
        UserError: Neither `--trust` nor the setting, now or earlier in this project.
    """
    project = _project(Path.cwd())
    if package == _OWN or _is_here(package) or _is_trusted(package, project, settings):
        return ()
    if not is_given:
        raise UserError(
            f"'{source}' runs the code of the installed package '{package}' on this machine.",
            hint=f"Add --trust, which is remembered for this project, or set EDGEKIT_TRUST={package} in CI.",
        )
    return _remember(package, project)


def require_project_trust(folder: Path, source: str, settings: Settings, *, is_given: bool) -> tuple[str, ...]:
    """Raise unless the user lets edgekit run Python code of the project around `folder`, whose file names `source`.

    That name is not typed, and a user who cloned the repository may not have read it. The setting `trust` with `.`
    allows it on machines that remember nothing, such as those of CI.

    Returns:
        A warning if that cannot be remembered.

    Raises:
        UserError: Neither `--trust` nor the setting, now or earlier in this project.
    """
    project = _project(folder)
    if not is_project_code(source) or _is_trusted(PROJECT_CODE, project, settings):
        return ()
    if not is_given:
        raise UserError(
            f"The project's file names '{source}', whose code would run on this machine.",
            hint="Read it, then add --trust, which is remembered for this project, or set EDGEKIT_TRUST=. in CI.",
        )
    return _remember(PROJECT_CODE, project)


def is_project_code(source: str) -> bool:
    """Whether `source` is Python code of a project, and not that of an installed package."""
    if not is_factory(source):
        return False
    call = parse_factory(source)
    return call.is_file or _is_here(call.place.partition(".")[0])


def _is_trusted(name: str, project: Path, settings: Settings) -> bool:
    return name in [one.strip() for one in settings.trust.split(",")] or name in _remembered(project)


def trust_file() -> Path:
    """Where it is remembered: with the user, because a repository must not vouch for itself."""
    return platformdirs.user_state_path("edgekit") / _FILE


def _project(folder: Path) -> Path:
    """The nearest folder upwards that is a project, or `folder` itself."""
    here = folder.resolve()
    return next((one for one in (here, *here.parents) if any((one / mark).exists() for mark in _MARKS)), here)


def _is_here(package: str) -> bool:
    """Whether a package is that of the current folder; an installed one of the same name comes before it."""
    places = [Path(package).resolve(), Path(f"{package}.py").resolve()]
    if not any(place.exists() for place in places):
        return False
    spec = importlib.util.find_spec(package)
    found = [*(spec.submodule_search_locations or []), spec.origin] if spec is not None else []
    return spec is None or any(Path(one).resolve() in places for one in found if one)


def _remembered(project: Path) -> tuple[str, ...]:
    return _read().packages.get(str(project), ())


def _read() -> Trusted:
    """What is remembered; nothing if the file is missing or damaged, so that `--trust` is asked for again."""
    try:
        return documents.read(trust_file(), Trusted, newest=TRUST_SCHEMA)
    except EdgekitError:
        return Trusted()


def _remember(package: str, project: Path) -> tuple[str, ...]:
    try:
        with claimed(trust_file(), wait_s=SHORT_S):
            known = _read().packages
            packages = {**known, str(project): tuple(sorted({*known.get(str(project), ()), package}))}
            documents.write(trust_file(), msgspec.structs.replace(Trusted(), packages=packages))
    except (OSError, EdgekitError) as err:
        return (f"--trust is not remembered: {err}.",)
    return ()
