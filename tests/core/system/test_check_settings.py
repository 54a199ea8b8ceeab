"""The [check] table: where it stands, what it may say, and what is told when it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.core.system.check_settings import CheckedModel, CheckFile, completed, lines_of, read_check

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


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[check]\nlaunchs = 3\n" + MODEL, "docs/ci.md lists every key."),
        ("[check]\nlaunches = 3\n" + MODEL, "edgekit check --help"),
        (MODEL + MODEL, 'name = "another"'),
        ("", '[[check.models]] with path = "model.onnx"'),
        ('[[check.models]]\nname = "a"\n', '[[check.models]] with path = "model.onnx"'),
        ('[check]\nhistory = "runs.txt"\n' + MODEL, 'history = "edgekit-history.jsonl"'),
    ],
)
def test_what_is_wrong_comes_with_what_to_write(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        read_check(written(tmp_path, text))

    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("setting", "fits"),
    [
        ("launches = 5", True),
        ("launches = 4", False),
        ("patience = 1", True),
        ("patience = 0", False),
        ("alpha = 0.5", True),
        ("alpha = 0.0", False),
        ("alpha = 1.0", False),
        ("minimum_effect = 0.0", False),
        ("size_tolerance = 0.0", True),
        ("accuracy_tolerance = 0.5", True),
        ("accuracy_tolerance = 1.0", False),
        ("instructions_tolerance = -0.1", False),
        ("time_limit_s = 0.1", True),
        ("time_limit_s = 0", False),
        ("time_box_s = 0", False),
    ],
)
def test_each_number_has_a_range(tmp_path: Path, setting: str, fits: bool) -> None:
    path = written(tmp_path, f"[check]\n{setting}\n{MODEL}")

    if fits:
        read_check(path)
    else:
        with pytest.raises(UserError, match=setting.partition(" ")[0]):
            read_check(path)


def test_what_the_table_leaves_out_is_as_the_page_says(tmp_path: Path) -> None:
    found = read_check(written(tmp_path, MODEL))

    assert (found.budgets, found.minimum_effect, found.baseline_metrics, found.alpha) == ((), 0.03, (), 0.05)
    assert (found.size_tolerance, found.accuracy_tolerance, found.instructions_tolerance) == (0.0, 0.01, 0.001)
    assert (found.launches, found.time_limit_s, found.time_box_s) == (8, 0.5, 45.0)
    assert (found.nightly, found.rerun_later, found.history) == (False, False, "edgekit-history.jsonl")
    assert (found.baseline_commit, found.models[0]) == ("", CheckedModel(path="kws.edgekit"))
    given = found.models[0]
    assert (given.artifact, given.target, given.budgets, given.to, given.inputs, given.sizes) == ((),) * 6
    assert (given.name, given.baseline, given.source, given.samples, given.weights) == ("",) * 5


@pytest.mark.parametrize(
    ("model", "called"),
    [
        (CheckedModel(path="a/kws.v2.onnx"), "kws.v2"),
        (CheckedModel(path="kws.onnx", name="keyword"), "keyword"),
        (CheckedModel(source="nets.py:small"), "small"),
        (CheckedModel(source="nets.py:small", path="out/kws"), "kws"),
    ],
)
def test_a_model_is_called_by_its_name_its_path_or_its_source(model: CheckedModel, called: str) -> None:
    assert model.called == called


@pytest.mark.parametrize("commit", ["", "main"])
def test_what_is_made_from_a_source_has_a_place(commit: str) -> None:
    own = CheckedModel(source="nets.py:own", path="out/own", baseline="old.onnx")
    bare = CheckedModel(path="kws.onnx")
    made = CheckedModel(source="nets.py:small")

    found = completed(CheckFile(models=(made, own, bare), baseline_commit=commit)).models

    base = "edgekit-built/small/base" if commit else ""
    assert (found[0].name, found[0].path, found[0].baseline) == ("small", "edgekit-built/small/now", base)
    assert (found[1].name, found[1].path, found[1].baseline) == ("own", "out/own", "old.onnx")
    assert found[2] == bare


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", "../kws.onnx"),
        ("baseline", "../old.onnx"),
        ("samples", "/data/x.npz"),
        ("weights", "../w.pt"),
        ("source", "../nets.py:small"),
        ("source", "hf:../local"),
        ("source", "../net.onnx"),
    ],
)
def test_a_place_outside_of_the_folder_is_refused_with_its_key(tmp_path: Path, key: str, value: str) -> None:
    fields = {"path": "kws.onnx"} | {key: value}
    text = "[[check.models]]\n" + "".join(f'{name} = "{one}"\n' for name, one in fields.items())

    with pytest.raises(UserError, match=rf"models\[0\]\.{key}"):
        read_check(written(tmp_path, text))


@pytest.mark.parametrize("source", ["nets.py:small", "hf:google/vit", "timm:resnet18", "digits", "net.onnx", "a.b:net"])
def test_a_source_in_the_folder_or_of_a_library_is_let_in(tmp_path: Path, source: str) -> None:
    assert read_check(written(tmp_path, f'[[check.models]]\nsource = "{source}"\n')).models[0].source == source


def test_a_history_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="history"):
        read_check(written(tmp_path, '[check]\nhistory = "../runs.jsonl"\n' + MODEL))


@pytest.mark.parametrize("root", ["check", "tool.edgekit.check"])
def test_a_check_is_found_on_the_line_that_asks_for_it(tmp_path: Path, root: str) -> None:
    text = f"""[{root}]
budgets = ["size <= 1 MB"]
nightly = true
baseline_commit = "main"
[[{root}.models]]
path = "a.onnx"
baseline = "old.onnx"
budgets = ["load <= 1 s"]
[[{root}.models]]
source = "nets.py:b"
"""
    path = written(tmp_path, text, "edgekit.toml" if root == "check" else "pyproject.toml")
    line = lines_of(path, read_check(path))

    assert line("a", "budget", "size <= 1 MB") == 2
    assert line("a", "budget", "load <= 1 s") == 8
    assert line("b", "budget", "size <= 1 MB") == 2
    assert line("a", "history", "latency") == 3
    assert (line("b", "baseline", "latency"), line("a", "baseline", "latency")) == (4, 7)
    assert (line("a", "parity", "parity"), line("b", "parity", "parity")) == (5, 9)


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
