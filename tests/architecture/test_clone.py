"""A clone in which git wrote the four links as text files installs, and `make links` repairs it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

TOP = ("train", "export", "runtime", "devices")
LAYERS = ("edgekit", *(f"edgekit.{name}" for name in ("core", "report", "flows", "cli", *TOP)))
SHOW = f"import {', '.join(LAYERS)}\nfor module in ({', '.join(LAYERS)}): print(module.__file__)"
SAMPLE = (
    *("architecture/test_source", "core/test_recipe", "flows/test_list", "report/test_widths", "cli/test_output"),
    *("train/test_options", "export/test_recipe_failures", "runtime/test_preprocessing", "devices/test_inventory"),
)
FAST = "not slow and not browser and not device and not gpu and not timing"

pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], cwd: Path, **environ: str) -> str:
    done = subprocess.run(command, cwd=cwd, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture
def clone(tree: Path, tmp_path: Path) -> Path:
    """A clone of this working tree, made as git for Windows makes it."""
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "all"]):
        run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *command], tree)
    run(["git", "clone", "-q", "-c", "core.symlinks=false", tree, tmp_path / "clone"], tmp_path)
    return tmp_path / "clone"


def test_git_writes_the_links_as_text_files_there(clone: Path) -> None:
    links = [clone / "src" / "edgekit" / name for name in TOP]

    assert [link.is_symlink() for link in links] == [False] * 4
    assert [link.read_text() for link in links] == [f"../../{name}" for name in TOP]


def test_it_installs_without_the_links(clone: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", environment], tmp_path)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    # What edgekit needs comes from the environment of this test; its .pth files, edgekit's own among them, do not.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    python = environment / "bin" / "python"

    run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-e",
            ".",
        ],
        clone,
    )
    found = run([python, "-c", SHOW], tmp_path).split()

    assert [Path(name).parent for name in found[-4:]] == [clone / name for name in TOP]
    assert all(Path(name).is_relative_to(clone) for name in found)


def test_the_makefile_repairs_the_links(clone: Path) -> None:
    (clone / "src" / "edgekit" / "train").unlink()

    # Under `make test` a make of its own would tell which folder it enters.
    links = ["make", "--no-print-directory", "links"]

    first, second = run(links, clone), run(links, clone)

    assert first.split() == [word for name in TOP for word in ("repaired", f"src/edgekit/{name}")]
    assert second == ""
    assert [(clone / "src" / "edgekit" / name).readlink() for name in TOP] == [Path("..", "..", name) for name in TOP]


def test_the_fast_tests_pass_there_after_the_repair(clone: Path) -> None:
    run(["make", "links"], clone)
    # What the links decide is which modules are found: a file of each layer shows it, one for each link among them.
    files = [f"tests/{name}.py" for name in SAMPLE]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", FAST, *files]

    said = run(command, clone, PYTHONPATH=str(clone / "src"))

    assert " passed" in said
