"""Models made from the working tree and from a commit, on a repository of git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, UserError
from edgekit.core.system.check_settings import CheckedModel, CheckFile, completed, read_check
from edgekit.core.system.progress import Silent
from edgekit.core.system.settings import Settings
from edgekit.flows.check import check_order
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.writing.commits import checked_out, make_models

NET = "from torch import nn\n\n\ndef net():\n    return nn.Linear(4, {outputs})\n"
TABLE = """[check]
baseline_commit = "HEAD"
[[check.models]]
source = "net.py:net"
to = ["onnx-fp32"]
inputs = ["x:float32[N,4]"]
"""


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository_folder(tmp_path: Path) -> Path:
    """A folder below the top of a repository: 2 outputs in the commit, 3 in the working tree."""
    folder = tmp_path / "team" / "ci"
    folder.mkdir(parents=True)
    (folder / "net.py").write_text(NET.format(outputs=2))
    (folder / "edgekit.toml").write_text(TABLE)
    git(tmp_path / "team", "init", "--quiet")
    git(tmp_path / "team", "add", ".")
    git(tmp_path / "team", "commit", "--quiet", "-m", "a net")
    (folder / "net.py").write_text(NET.format(outputs=3))
    return folder


def test_a_commit_is_read_and_the_working_tree_stays(repository_folder: Path) -> None:
    with checked_out(repository_folder, "HEAD") as copy:
        assert "Linear(4, 2)" in (copy / "net.py").read_text()
        assert copy.name == "ci"

    assert not copy.exists()
    assert "Linear(4, 3)" in (repository_folder / "net.py").read_text()


@pytest.mark.parametrize("commit", ["nowhere", "--output=/tmp/x", "HEAD:ci/net.py"])
def test_what_is_no_commit_is_refused(repository_folder: Path, commit: str) -> None:
    with pytest.raises(UserError, match="no commit"), checked_out(repository_folder, commit):
        pass


def test_a_folder_outside_of_git_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="git rev-parse failed"), checked_out(tmp_path, "HEAD"):
        pass


@pytest.mark.slow
def test_both_sides_are_made_from_their_own_sources(repository_folder: Path) -> None:
    config = repository_folder / "edgekit.toml"

    make_models(config, completed(read_check(config)), Settings(), Silent())

    for side, outputs in (("now", 3), ("base", 2)):
        with opened(repository_folder / "edgekit-built" / "net" / side) as found:
            assert found.artifacts[0].outputs[0].shape == ("N", outputs)


def test_the_plan_says_what_is_made(repository_folder: Path) -> None:
    with check_order(repository_folder / "edgekit.toml", trust=True) as order:
        steps = order.steps()

    assert steps[:3] == (
        "export 'net.py:net' of HEAD to 'edgekit-built/net/base'",
        "export 'net.py:net' to 'edgekit-built/net/now'",
        "measure and judge 'net'",
    )


def test_places_that_the_file_names_are_kept() -> None:
    model = CheckedModel(name="net", source="net.py:net", path="a", baseline="b")

    assert completed(CheckFile(models=(model,), baseline_commit="HEAD")).models == (model,)
    assert completed(CheckFile(models=(CheckedModel(source="net.py:net"),))).models[0].baseline == ""
