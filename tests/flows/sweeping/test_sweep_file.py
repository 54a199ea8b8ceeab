"""A sweep file comes from others: it names what is in its folder and exact versions of known packages."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.flows.scripted import fake_model

from edgekit.core.errors import UserError
from edgekit.flows.sweep import sweep
from edgekit.flows.sweeping.backend_versions import BackendVersion
from edgekit.flows.sweeping.sweep_file import read_sweep


class Wrong(NamedTuple):
    text: str
    message: str


WRONG = [
    Wrong("models = []", "models: expected `array` of length >= 1|models: expected array of length >= 1"),
    Wrong('models = ["a.json"]\nlaunch = 3', r"unknown key 'launch'\. Did you mean 'launches'"),
    Wrong('models = ["a.json"]\nlaunches = 4', "launches: expected int >= 5"),
    Wrong('models = ["a.json"]\nthreads = [0]', r"threads\[0\]: expected int >= 1"),
    Wrong('models = ["../a.json"]', r"models\[0\]: '\.\./a\.json' is outside of"),
    Wrong('models = ["/etc/passwd"]', r"models\[0\]: '/etc/passwd' is outside of"),
    Wrong('models = ["a.json"]\nresults = "../x.jsonl"', r"results: '\.\./x\.jsonl' is outside of"),
    Wrong('models = ["a.json"]\nresults = ".git/config.jsonl"', r"results: .* is outside of"),
    Wrong('models = ["a.json"]\nresults = "setup.py"', r"results: 'setup\.py' does not end with \.jsonl"),
    Wrong('models = ["a.json"]\nengine = ["onnxruntime"]', "expected NAME==VERSION, got 'onnxruntime'"),
    Wrong('models = ["a.json"]\nengine = ["onnxruntime>=1.2"]', "expected NAME==VERSION"),
    Wrong('models = ["a.json"]\nengine = ["onnxruntime==1.2 --pre"]', "expected NAME==VERSION"),
    Wrong('models = ["a.json"]\nengine = ["onnxruntime==1.2\\n-r x"]', "expected NAME==VERSION"),
    Wrong('models = ["a.json"]\nengine = ["onnxruntime==1.*"]', "expected NAME==VERSION"),
    Wrong('models = ["a.json"]\nengine = ["evil==1.0"]', "Unknown package 'evil'"),
    Wrong('models = ["a.json"]\nengine = ["--index-url=http://x==1.0"]', "Unknown package"),
    Wrong("models = [", "is not TOML"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: one.text)
def test_what_is_wrong_with_a_file_is_said(wrong: Wrong, tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(wrong.text)

    with pytest.raises(UserError, match=wrong.message):
        read_sweep(file)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.json").symlink_to(fake_model(tmp_path / "other.json"))
    (folder / "sweep.toml").write_text('models = ["a.json"]')

    with pytest.raises(UserError, match="is outside of"):
        read_sweep(folder / "sweep.toml")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('target = ["fake@threads=2"]\nthreads = [1]', "target 'fake@threads=2' names its own"),
        ('target = ["fake"]\nengine = ["onnxruntime==1.30.0"]', "nothing in the sweep runs on 'onnxruntime==1.30.0'"),
        ('target = ["local/onnxruntime"]', "cannot open any of the models"),
        ('target = ["nowhere"]', "Unknown device 'nowhere'"),
    ],
    ids=["threads twice", "unused version", "nothing opens", "no device"],
)
def test_what_cannot_be_combined_is_refused_before_anything_is_measured(
    keys: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BackendVersion, "is_installed", True)
    fake_model(tmp_path / "a.fake.json")
    (tmp_path / "sweep.toml").write_text(f'models = ["a.fake.json"]\n{keys}\n')

    with pytest.raises(UserError, match=message):
        sweep(tmp_path / "sweep.toml")

    assert not (tmp_path / "sweep.jsonl").exists()
