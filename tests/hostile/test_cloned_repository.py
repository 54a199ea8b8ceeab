"""A cloned repository's `edgekit.toml`, which nobody has read, changes nothing outside of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.flows import onnx_files

from edgekit.core.errors import UserError
from edgekit.core.system.progress import Silent
from edgekit.core.system.settings import Settings
from edgekit.flows.check import check_order
from edgekit.flows.history import accept_order

Content = Mapping[str, bytes]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with documents, a login file and a repository with a model."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "thesis.txt").write_text("years of work")
    (tmp_path / ".bash_login").write_text("echo welcome\n")
    (tmp_path / "repository" / "own").mkdir(parents=True)
    (tmp_path / "repository" / "own" / "notes.txt").write_text("written by hand")
    onnx_files.dense(tmp_path / "repository" / "m.onnx")
    (tmp_path / "repository" / "link").symlink_to(tmp_path / "docs")
    (tmp_path / "repository" / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path


def content(folder: Path) -> Content:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


HEAD = "[check]\nlaunches = 5\ntime_limit_s = 0.01\n"
MODEL = '[[check.models]]\npath = "m.onnx"\n'
MADE = '[[check.models]]\nsource = "m.onnx"\nto = ["onnx-fp32"]\n'
OUTSIDE = "is outside of"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + MADE + 'path = "../docs"\n', OUTSIDE),
        (HEAD + MADE + 'path = "link"\n', OUTSIDE),
        (HEAD + MADE + 'path = "link/new"\n', OUTSIDE),
        (HEAD + MADE + 'path = ".git/hooks"\n', OUTSIDE),
        (HEAD + MADE + 'path = "own"\n', "was not written by edgekit"),
        (HEAD + MADE + 'name = "../../../docs"\n', OUTSIDE),
        (HEAD + MADE + 'samples = "../docs"\n', OUTSIDE),
        (HEAD + MADE + 'weights = "/etc/passwd"\n', OUTSIDE),
        (HEAD + MODEL + 'baseline = "../docs"\n', OUTSIDE),
        (HEAD + '[[check.models]]\npath = "../docs/m.onnx"\n', OUTSIDE),
        (HEAD + '[[check.models]]\nsource = "../docs/net.py:f"\n', OUTSIDE),
        (HEAD + '[[check.models]]\nsource = "../docs/net.onnx"\n', OUTSIDE),
        (HEAD + '[[check.models]]\nsource = "hf:../docs"\n', OUTSIDE),
        (HEAD + 'history = "../.bash_login"\n' + MODEL, OUTSIDE),
        (HEAD + 'history = "link/history.jsonl"\n' + MODEL, OUTSIDE),
        (HEAD + 'history = ".bash_login"\n' + MODEL, "does not end with .jsonl"),
    ],
)
@pytest.mark.parametrize("name", ["edgekit.toml", "pyproject.toml"])
def test_a_configuration_reaches_nothing_outside_of_its_folder(name: str, text: str, message: str, home: Path) -> None:
    table = text.replace("[check", "[tool.edgekit.check") if name == "pyproject.toml" else text
    (home / "repository" / name).write_text(table)
    before = content(home)

    with (
        pytest.raises(UserError, match=message),
        check_order(home / "repository" / name, settings=Settings(trust=".")) as order,
    ):
        order.run(Silent())

    assert content(home) == before


def test_an_accepted_baseline_replaces_nothing_that_edgekit_did_not_write(home: Path) -> None:
    config = home / "repository" / "edgekit.toml"
    config.write_text(HEAD + MODEL + 'baseline = "own"\n')
    before = content(home)

    with accept_order(config, why="planted") as order, pytest.raises(UserError, match="was not written by edgekit"):
        order.run(Silent())

    assert content(home) == before


def test_a_configuration_runs_no_code_of_a_repository_before_the_user_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    config, canary = home / "repository" / "edgekit.toml", home / "canary"
    (home / "repository" / "net.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    config.write_text(HEAD + '[[check.models]]\nsource = "net.py:net"\n')

    with pytest.raises(UserError, match="whose code would run"), check_order(config):
        pass

    assert not canary.exists()
    with check_order(config, trust=True) as order:
        assert order.warnings == ()
    with check_order(config):
        pass
    assert not (home / "repository" / "trust.json").exists()
