"""The repository and the environment in which a command runs."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.system import command_line
from edgekit.core.system.settings import Settings

_COMMIT_VARIABLES: Final = ("GITHUB_SHA", "CI_COMMIT_SHA")
# The branch of a pull request comes first: the others then contain a made-up name, such as "5/merge".
_BRANCH_VARIABLES: Final = (
    "GITHUB_HEAD_REF",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
    "GITHUB_REF_NAME",
    "CI_COMMIT_BRANCH",
)
# Variables of other programs that change how fast something runs, or where.
_VARIABLES: Final = (
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "TF_NUM_INTRAOP_THREADS",
)
_TIMEOUT_S: Final = 10


def reproduction(folder: Path | None = None, environ: Mapping[str, str] = os.environ) -> Reproduction:
    """How to run the current command again, as of now.

    Args:
        folder: The folder whose repository is meant; the working folder by default.
    """
    here = folder or Path.cwd()
    commit = commit_of(here, environ)
    return Reproduction(
        arguments=command_line.arguments(),
        commit=commit,
        branch=branch_of(here, environ) if commit else "",
        is_dirty=_is_dirty(here) if commit else None,
        environment=_environment(environ),
    )


def commit_of(folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """The commit that is checked: from CI, otherwise from git; empty without both."""
    told = next((environ[name] for name in _COMMIT_VARIABLES if environ.get(name)), "")
    return told or (_git(folder, "rev-parse", "HEAD") or "").strip()


def branch_of(folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """The branch of that commit: from CI, otherwise from git; empty without both, for a tag or a detached commit."""
    if environ.get("GITHUB_REF_TYPE") == "tag" or environ.get("CI_COMMIT_TAG"):
        return ""
    told = next((environ[name] for name in _BRANCH_VARIABLES if environ.get(name)), "")
    return told or (_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD") or "").strip()


def _is_dirty(folder: Path) -> bool | None:
    """Whether files that git tracks were changed; None if git does not say."""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if changed is None else bool(changed.strip())


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None without git or a repository."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The system and processor, then the variables that are set: settings of edgekit, and those of libraries."""
    from edgekit.flows.opening.tuned import facts_here

    facts = facts_here()
    known = {
        "system": facts.system or platform.platform(),
        "architecture": facts.architecture,
        "processor": facts.cpu or "",
        "cores": str(facts.cores or ""),
    }
    # Where reports are kept changes none of them, and its URL may contain a password.
    settings = (name for name in Settings.__struct_fields__ if name != "history")
    names = (*_VARIABLES, *(f"EDGEKIT_{name.upper()}" for name in settings))
    return {name: value for name, value in known.items() if value} | {
        name: environ[name] for name in names if environ.get(name)
    }


def project_of(folder: Path) -> str:
    """What a project is called on every machine: owner and name of its remote repository, and the folder in it.

    Without a remote repository it is the name of the outermost folder that git knows; without git that of `folder`.
    """
    folder = folder.resolve()
    top = Path((_git(folder, "rev-parse", "--show-toplevel") or str(folder)).strip())
    remote = (_git(folder, "remote", "get-url", "origin") or "").strip().rstrip("/").removesuffix(".git")
    name = "/".join(remote.replace(":", "/").split("/")[-2:]) if remote else top.name
    inner = folder.relative_to(top) if folder.is_relative_to(top) else Path()
    return "/".join((name, *inner.parts))
