"""The [check] table: where it stands, what it may say, and what is told when it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.core.system.check_settings import CheckedModel, CheckFile, read_check

MODEL = '[[check.models]]\npath = "kws.edgekit"\n'


def written(folder: Path, text: str, name: str = "edgekit.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_model_is_all_that_must_be_named(tmp_path: Path) -> None:
    found = read_check(written(tmp_path, MODEL))

    assert [model.called for model in found.models] == ["kws"]
    assert (found.target, found.inconclusive, found.patience) == (("local",), "pass", 10)


def test_the_table_may_stand_in_a_pyproject(tmp_path: Path) -> None:
    text = '[tool.edgekit.check]\nbudgets = ["size <= 1 MB"]\n[[tool.edgekit.check.models]]\npath = "a.onnx"\n'

    assert read_check(written(tmp_path, text, "pyproject.toml")).budgets == ("size <= 1 MB",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no table \[check\]"),
        ("[check]\nmodels = []", "models: expected array of length >= 1"),
        ("[check]\nlaunchs = 3\n" + MODEL, r"unknown key 'launchs'\. Did you mean 'launches'\?"),
        (MODEL + "budget = []\n", r"unknown key 'models\[0\]\.budget'\. Did you mean 'budgets'\?"),
        ("[check]\nlaunchs = 3\ntargets = []\n" + MODEL, r"'launchs'.*'targets'"),
        ("[check]\nlaunches = 3\n" + MODEL, "launches: expected int >= 5"),
        ('[check]\ninconclusive = "maybe"\n' + MODEL, "inconclusive: invalid enum value 'maybe'"),
        ("[[check.models]]\npath = 3", r"models\[0\].path: expected str, got int"),
        (MODEL + MODEL, "two models have the name 'kws'"),
        ("[check", "is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_check(written(tmp_path, text))


def test_a_missing_file_is_told_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no") as failure:
        read_check(tmp_path / "edgekit.toml")

    assert "check.models" in failure.value.hint


def test_the_table_in_the_documentation_is_one(tmp_path: Path, repository: Path) -> None:
    page = (repository / "docs" / "ci.md").read_text(encoding="utf-8")
    table = page.partition("```toml\n")[2].partition("```")[0]

    found = read_check(written(tmp_path, table))

    assert (found.patience, found.models[0].baseline) == (10, "built/base")


def test_the_documentation_lists_every_key(repository: Path) -> None:
    page = (repository / "docs" / "ci.md").read_text(encoding="utf-8").partition("## Every key")[2]
    tables = [re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for part in page.split("\n\n") if "| `" in part]

    assert tables[0] == list(CheckFile.__struct_fields__)
    assert tables[1] == list(CheckedModel.__struct_fields__)
