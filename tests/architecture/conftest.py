"""Copies of the repository that a test may spoil."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Copy = Callable[[Path], Path]


def _files(repository: Path) -> list[str]:
    """Every file a commit would hold now, without those that are deleted in the working tree."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    names = sorted(set(filter(None, done.stdout.split("\0"))))
    return [name for name in names if (repository / name).exists() or (repository / name).is_symlink()]


@pytest.fixture(scope="session")
def copy_to(repository: Path) -> Copy:
    """Gives a copy of the working tree as a commit would hold it, links as links."""
    if not (repository / ".git").exists():
        pytest.skip("this is no git checkout: what belongs to the project cannot be told from what was built")

    def copy(target: Path) -> Path:
        for name in _files(repository):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, target / name, follow_symlinks=False)
        return target

    return copy


@pytest.fixture
def tree(copy_to: Copy, tmp_path: Path) -> Path:
    """A copy of the working tree for one test."""
    return copy_to(tmp_path / "tree")
