from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgekit.core.errors import UserError
from edgekit.core.system.settings import Setting, Settings, load_settings, without_password


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _origin(name: str, found: tuple[Setting, ...]) -> str:
    return next(setting.origin for setting in found if setting.name == name)


def _load(folder: Path, environ: dict[str, str] | None = None, **flags: Any) -> tuple[Settings, tuple[Setting, ...]]:
    return load_settings(flags, environ=environ or {}, folder=folder, user_file=folder / "user" / "config.toml")


def test_without_any_file_the_defaults_are_in_force(tmp_path: Path) -> None:
    settings, found = _load(tmp_path)

    assert settings == Settings()
    assert {setting.origin for setting in found} == {"default"}
    assert [setting.name for setting in found] == list(Settings.__struct_fields__)


def test_each_place_yields_to_the_next_one(tmp_path: Path) -> None:
    places = []
    _write(tmp_path / "user" / "config.toml", "launches = 7")
    places.append(_load(tmp_path)[0].launches)
    _write(tmp_path / "edgekit.toml", "launches = 8")
    places.append(_load(tmp_path)[0].launches)
    places.append(_load(tmp_path, {"EDGEKIT_LAUNCHES": "9"})[0].launches)
    places.append(_load(tmp_path, {"EDGEKIT_LAUNCHES": "9"}, launches=10)[0].launches)

    assert places == [7, 8, 9, 10]


def test_every_setting_says_where_it_came_from(tmp_path: Path) -> None:
    user_file = _write(tmp_path / "user" / "config.toml", "seed = 1")
    project_file = _write(tmp_path / "edgekit.toml", 'target = "pi5"')

    _, found = _load(tmp_path, {"EDGEKIT_OFFLINE": "true"}, timeout_s=5.0)

    assert _origin("seed", found) == str(user_file)
    assert _origin("target", found) == str(project_file)
    assert _origin("offline", found) == "EDGEKIT_OFFLINE"
    assert _origin("timeout_s", found) == "--timeout"
    assert _origin("launches", found) == "default"


def test_a_file_below_the_current_folder_is_named_as_one_types_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "edgekit.toml", "seed = 1")
    monkeypatch.chdir(tmp_path)

    _, found = load_settings(environ={})

    assert _origin("seed", found) == "edgekit.toml"


def test_the_project_file_of_a_parent_folder_is_found(tmp_path: Path) -> None:
    _write(tmp_path / "edgekit.toml", "seed = 3")
    inner = tmp_path / "models" / "small"
    inner.mkdir(parents=True)

    assert _load(inner)[0].seed == 3


def test_the_nearest_project_file_wins_alone(tmp_path: Path) -> None:
    _write(tmp_path / "edgekit.toml", "seed = 3\nlaunches = 9")
    _write(tmp_path / "inner" / "edgekit.toml", "seed = 4")

    settings, _ = _load(tmp_path / "inner")

    assert (settings.seed, settings.launches) == (4, Settings().launches)


def test_pyproject_counts_when_it_has_the_table(tmp_path: Path) -> None:
    _write(tmp_path / "pyproject.toml", "[tool.edgekit]\nseed = 5")
    _write(tmp_path / "inner" / "pyproject.toml", "[tool.ruff]\nline-length = 88")

    settings, found = _load(tmp_path / "inner")

    assert settings.seed == 5
    assert _origin("seed", found).endswith("pyproject.toml [tool.edgekit]")


def test_edgekit_toml_wins_over_pyproject_beside_it(tmp_path: Path) -> None:
    _write(tmp_path / "pyproject.toml", "[tool.edgekit]\nseed = 5")
    _write(tmp_path / "edgekit.toml", "seed = 6")

    assert _load(tmp_path)[0].seed == 6


@pytest.mark.parametrize("content", ["tool = 3", "[tool]\nedgekit = 3", ""])
def test_a_pyproject_without_our_table_says_nothing(tmp_path: Path, content: str) -> None:
    _write(tmp_path / "pyproject.toml", content)

    assert _load(tmp_path)[0] == Settings()


def test_folders_in_a_file_are_relative_to_that_file(tmp_path: Path) -> None:
    _write(tmp_path / "edgekit.toml", 'data = "data"')

    assert _load(tmp_path / "inner")[0].data == str(tmp_path / "data")


def test_a_project_names_no_folder_outside_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    for line, message in (
        ('data = "../data"', "data: '../data' is outside of"),
        ('data = "/var/data"', "data: '/var/data' is outside of"),
        ('cache = "cache"', "'cache' cannot be set by a project"),
    ):
        _write(tmp_path / "project" / "edgekit.toml", line)

        with pytest.raises(UserError, match=message):
            _load(tmp_path / "project")


def test_folders_in_the_environment_stay_as_they_are(tmp_path: Path) -> None:
    assert _load(tmp_path, {"EDGEKIT_DATA": "data"})[0].data == "data"


def test_an_empty_variable_sets_nothing(tmp_path: Path) -> None:
    assert _load(tmp_path, {"EDGEKIT_LAUNCHES": ""})[0].launches == Settings().launches


def test_flags_that_were_not_given_set_nothing(tmp_path: Path) -> None:
    assert _load(tmp_path, launches=None)[0].launches == Settings().launches


def test_tables_of_single_commands_are_left_to_them(tmp_path: Path) -> None:
    _write(tmp_path / "edgekit.toml", "schema_version = 1\nseed = 7\n[check]\nalpha = 0.01")

    assert _load(tmp_path)[0].seed == 7


@dataclass(frozen=True)
class Bad:
    content: str
    says: str


@pytest.mark.parametrize(
    "case",
    [
        Bad("sed = 1", "unknown setting 'sed'. Did you mean 'seed'?"),
        Bad("[chek]", "unknown setting 'chek'. Did you mean 'check'?"),
        Bad("launches = 0", "launches: expected int >= 1, got 0."),
        Bad("launches = 1.5", "launches: expected int, got 1.5."),
        Bad("launches = [1]", "launches: expected int, got [1]."),
        Bad("launches = true", "launches: expected int, got True."),
        Bad("offline = 1", "offline: expected bool, got 1."),
        Bad("timeout_s = nan", "timeout_s: expected"),
        Bad("timeout_s = inf", "timeout_s: expected a finite number, got inf."),
        Bad("minimum_effect = 1.5", "minimum_effect: expected number <= 1.0, got 1.5."),
        Bad("seed = 1\nseed = 2", "is not TOML"),
        Bad("schema_version = 2", "has schema 2; this edgekit reads up to 1."),
        Bad('schema_version = "1"', "has schema '1'"),
    ],
    ids=lambda case: case.content,
)
def test_a_wrong_file_is_refused_with_its_name_and_the_value(tmp_path: Path, case: Bad) -> None:
    path = _write(tmp_path / "edgekit.toml", case.content)

    with pytest.raises(UserError) as caught:
        _load(tmp_path)

    assert case.says in caught.value.message
    assert str(path) in caught.value.message


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    _write(tmp_path / "edgekit.toml", "launches = 0\nseed = -1")

    with pytest.raises(UserError) as caught:
        _load(tmp_path)

    assert "launches: expected int >= 1" in caught.value.message
    assert "seed: expected int >= 0" in caught.value.message


@pytest.mark.parametrize("name", ["edgekit.yaml", "edgekit.yml", "user/config.yaml"])
def test_yaml_is_refused(tmp_path: Path, name: str) -> None:
    _write(tmp_path / name, "seed: 1")

    with pytest.raises(UserError, match="is YAML; edgekit reads TOML") as caught:
        _load(tmp_path)

    assert caught.value.hint.endswith(".toml'.")


@pytest.mark.parametrize(("value", "says"), [("yes", "offline: expected bool, got 'yes'."), ("on", "got 'on'")])
def test_a_variable_of_another_type_is_refused(tmp_path: Path, value: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        _load(tmp_path, {"EDGEKIT_OFFLINE": value})

    assert caught.value.message.startswith("EDGEKIT_OFFLINE: ")
    assert says in caught.value.message


@pytest.mark.parametrize("name", ["memory_gb", "open_s"])
def test_a_project_does_not_choose_how_much_memory_and_time_its_models_take(name: str, tmp_path: Path) -> None:
    _write(tmp_path / "edgekit.toml", f"{name} = 500")

    with pytest.raises(UserError, match=f"'{name}' cannot be set by a project"):
        _load(tmp_path)
    _write(tmp_path / "edgekit.toml", "")
    assert getattr(_load(tmp_path, {f"EDGEKIT_{name.upper()}": "2.5"})[0], name) == 2.5


def test_a_misspelt_variable_is_refused_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'EDGEKIT_LAUNCHES'"):
        _load(tmp_path, {"EDGEKIT_LAUNCH": "8"})


def test_variables_of_other_programs_are_no_settings(tmp_path: Path) -> None:
    assert _load(tmp_path, {"EDGEKIT_IMAGE_TAG": "1.2", "LAUNCHES": "9"})[0] == Settings()


def test_a_wrong_flag_is_named_as_one_types_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--minimum-effect: minimum_effect: expected number >= 0.0, got -1"):
        _load(tmp_path, minimum_effect=-1.0)


@pytest.mark.parametrize("url", ["postgresql://host/runs", "https://host", "x://y"])
def test_a_project_sends_no_report_to_a_database(url: str, tmp_path: Path) -> None:
    _write(tmp_path / "edgekit.toml", f'history = "{url}"')

    with pytest.raises(UserError, match="is a URL, which a project cannot set"):
        _load(tmp_path)


@pytest.mark.parametrize("place", ["/elsewhere/runs.sqlite", "../runs.sqlite", ".git/runs.sqlite"])
def test_a_project_keeps_reports_in_its_own_folder(place: str, tmp_path: Path) -> None:
    _write(tmp_path / "edgekit.toml", f'history = "{place}"')

    with pytest.raises(UserError, match="is outside of"):
        _load(tmp_path)


def test_a_user_names_a_file_or_a_database_for_reports(tmp_path: Path) -> None:
    user_file = _write(tmp_path / "user" / "config.toml", 'history = "runs.sqlite"')
    assert _load(tmp_path)[0].history == str(user_file.parent / "runs.sqlite")

    _write(user_file, 'history = "postgresql://host/runs"')
    assert _load(tmp_path)[0].history == "postgresql://host/runs"
    assert _load(tmp_path, {"EDGEKIT_HISTORY": "postgresql://other/runs"})[0].history == "postgresql://other/runs"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgresql://me:pass@word@host/runs", "postgresql://me:***@host/runs"),
        ("postgresql://me@host/runs", "postgresql://me@host/runs"),
        ("runs.sqlite", "runs.sqlite"),
        (7, 7),
    ],
)
def test_a_setting_is_shown_without_its_password(value: str | int, shown: str | int) -> None:
    assert without_password(value) == shown
