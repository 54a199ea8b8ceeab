"""The code of an installed package runs only for users who said so; that is remembered outside of the repository."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.core.system.settings import Settings, load_settings
from edgekit.flows.opening.source import SourceOptions, open_source, refuse_unused
from edgekit.flows.opening.trusted_packages import require_project_trust, require_trust, trust_file

SOURCE = "elsewhere:net"
CODE = """
from pathlib import Path
(Path(__file__).parent / "ran").touch()

import torch
def net():
    return torch.nn.Linear(2, 2)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in a repository, with an empty state of the user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "project" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def is_trusted(package: str = "timm", settings: Settings = Settings()) -> bool:
    try:
        require_trust(package, f"{package}:net", settings, is_given=False)
    except UserError:
        return False
    return True


@pytest.mark.usefixtures("project")
def test_without_trust_the_error_names_the_package_and_both_ways_to_trust_it() -> None:
    with pytest.raises(UserError, match="'timm:net' runs the code of the installed package 'timm'") as caught:
        require_trust("timm", "timm:net", Settings(), is_given=False)

    assert "--trust" in caught.value.hint
    assert "EDGEKIT_TRUST=timm" in caught.value.hint


def test_trust_is_remembered_for_the_project_and_not_for_another(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_trust("timm", "timm:net", Settings(), is_given=True)

    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")
    assert is_trusted()
    assert not is_trusted("torchvision")
    (project.parent / "other").mkdir()
    monkeypatch.chdir(project.parent / "other")
    assert not is_trusted()


def test_it_is_stored_with_the_user_and_not_in_the_repository(project: Path) -> None:
    require_trust("timm", "timm:net", Settings(), is_given=True)

    assert trust_file() == project.parent / "state" / "edgekit" / "trust.json"
    assert json.loads(trust_file().read_text())["packages"] == {str(project): ["timm"]}
    assert [path.name for path in project.iterdir()] == [".git"]


@pytest.mark.usefixtures("project")
def test_the_setting_of_a_machine_trusts_what_it_names() -> None:
    settings, _ = load_settings(environ={"EDGEKIT_TRUST": "timm, torchvision"})

    assert is_trusted("torchvision", settings)
    assert not is_trusted("transformers", settings)
    assert not trust_file().exists()


@pytest.mark.parametrize("name", ["edgekit.toml", "pyproject.toml"])
def test_a_project_cannot_vouch_for_itself(name: str, project: Path) -> None:
    table = "[tool.edgekit]\n" if name == "pyproject.toml" else ""
    (project / name).write_text(f'{table}trust = "timm"\n')

    with pytest.raises(UserError, match="'trust' cannot be set by a project") as caught:
        load_settings(environ={}, folder=project)

    assert "EDGEKIT_TRUST" in caught.value.hint


def test_the_file_of_the_user_can_set_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('trust = "timm"\n')

    settings, _ = load_settings(environ={}, folder=tmp_path, user_file=tmp_path / "config.toml")

    assert settings.trust == "timm"


def test_a_damaged_file_trusts_nothing(project: Path) -> None:
    trust_file().parent.mkdir(parents=True)
    trust_file().write_text('{"schema_version": 1, "packages": {"' + str(project) + '": "timm"}}')

    assert not is_trusted()


@pytest.mark.usefixtures("project")
def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")

    (warning,) = require_trust("timm", "timm:net", Settings(), is_given=True)

    assert "--trust is not remembered" in warning


@pytest.mark.usefixtures("project")
def test_nothing_of_the_package_runs_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "elsewhere.py"
    package.parent.mkdir()
    package.write_text(CODE)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")]))
    options = SourceOptions(inputs=("x:float32[N,2]",))

    with pytest.raises(UserError, match="runs the code of the installed package 'elsewhere'"):
        open_source(SOURCE, options, Settings())

    assert not (package.parent / "ran").exists()
    assert open_source(SOURCE, options, Settings(trust="elsewhere")).spec.name == "net"


def test_a_package_in_the_current_folder_is_the_users_own(project: Path) -> None:
    (project / "mine.py").touch()

    assert is_trusted("mine")


def test_a_folder_with_the_name_of_an_installed_package_does_not_vouch_for_it(project: Path) -> None:
    (project / "numpy").mkdir()

    assert not is_trusted("numpy")


@pytest.mark.parametrize("source", ["digits", "model.onnx", "net.py:Net"])
def test_trust_is_refused_where_nothing_needs_it(source: str) -> None:
    with pytest.raises(UserError, match="--trust does not apply"):
        refuse_unused(source, SourceOptions(trust=True))


def test_code_that_a_project_names_asks_once_and_is_remembered_for_that_project_alone(project: Path) -> None:
    other = project.parent / "other"
    other.mkdir()
    with pytest.raises(UserError, match=r"names 'net\.py:f', whose code would run") as caught:
        require_project_trust(project, "net.py:f", Settings(), is_given=False)

    assert "--trust" in caught.value.hint
    assert "EDGEKIT_TRUST=." in caught.value.hint
    assert require_project_trust(project, "net.py:f", Settings(), is_given=True) == ()
    assert require_project_trust(project, "net.py:f", Settings(), is_given=False) == ()
    assert require_project_trust(other, "net.py:f", Settings(trust="timm, ."), is_given=False) == ()
    with pytest.raises(UserError):
        require_project_trust(other, "net.py:f", Settings(trust="timm"), is_given=False)
    assert not is_trusted("timm")


@pytest.mark.parametrize("source", ["", "digits", "model.onnx", "timm:resnet18"])
def test_sources_without_code_of_the_project_need_no_trust_of_it(source: str, project: Path) -> None:
    assert require_project_trust(project, source, Settings(), is_given=False) == ()
