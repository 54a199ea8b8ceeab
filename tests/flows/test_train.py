from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit.core.bundle import Manifest, write_manifest
from edgekit.core.errors import EnvironmentFault, MissingExtra, UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.progress import Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows import train as flow
from edgekit.flows.order import door
from edgekit.flows.train import report_of, search_order, train, train_order, weights_of
from edgekit.train.training_run import read_any
from edgekit.train.weights import shipped_weights

search = door(search_order)
QUICK = {"epochs": "1", "passes": "5", "restarts": "0"}


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEKIT_DATA", raising=False)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


class Stop(Silent):
    """Presses Ctrl-C after the first epoch."""

    def step(self, done: int, total: int, note: str = "") -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"model": "digit"}, "Did you mean 'digits'"),
        ({"model": "digits", "overrides": {"epoch": "1"}}, "Did you mean 'epochs'"),
        ({"model": "mnist", "download": True, "data": Path()}, "--download and --data cannot be combined"),
        ({"model": "mnist", "download": True, "settings": Settings(offline=True)}, "--offline forbids"),
        ({"model": "mnist", "freeze": ("conv1",)}, "--freeze needs weights"),
    ],
)
def test_what_cannot_work_is_refused_before_the_order(tmp_path: Path, order: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        train(**order, out=tmp_path / "run")
    with pytest.raises(UserError, match=said), train_order(**order, out=tmp_path / "run"):
        pass


def test_a_model_without_files_needs_no_download(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs no download"):
        train("xor", out=tmp_path / "run", download=True)


def test_a_download_that_has_no_address_says_so_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no official address"):
        train("forecast-lstm", out=tmp_path / "run", download=True)

    assert not (tmp_path / "run").exists()


def test_a_download_is_where_the_training_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(name: str, *, progress: object) -> Path:
        asked.append(name)
        return tmp_path

    monkeypatch.setattr("edgekit.train.data.fetch.download", fetch)

    with pytest.raises(UserError, match="'mnist' is incomplete"):
        train("mnist", out=tmp_path / "run", download=True)

    assert asked == ["mnist"]


def test_nothing_is_downloaded_unasked(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="downloads it only on request"):
        train("mnist", out=tmp_path / "run")


def test_the_steps_name_what_comes_in() -> None:
    with train_order("mnist", out="run", download=True, init_from="fashion", freeze=("conv1",), processes=2) as order:
        steps = order.steps()

    assert order.start.weights == shipped_weights("fashion")
    assert steps[0].startswith("download the data set")
    assert steps[1:3] == ("start from the matching weights of 'fashion'", "freeze 'conv1'")
    assert steps[3].endswith("in 2 processes")


def test_the_steps_of_a_search_say_how_options_are_chosen() -> None:
    with search_order("digits", 3, out="run") as order:
        assert order.steps() == (
            "train 'digits' 3 times, 1 in parallel, with options chosen by tpe",
            "write the journal and one run directory per training to 'run'",
        )


def test_weights_that_are_not_there_are_missed_before_the_order() -> None:
    with (
        pytest.raises(UserError, match="contains no weights to start from"),
        train_order("xor", out="run", init_from="x"),
    ):
        pass


@pytest.mark.slow
def test_a_training_that_goes_on_has_the_options_it_was_begun_with(tmp_path: Path) -> None:
    with pytest.raises(BaseException, match="was stopped") as stopped:
        train("xor", out=tmp_path / "run", overrides={**QUICK, "epochs": "2"}, progress=Stop())

    report = train("xor", out=tmp_path / "run", resume=True)

    assert stopped.value.hint == (  # type: ignore[attr-defined]  # Interrupted, which is no Exception to pytest's types
        f"edgekit train xor --set epochs=2 --set passes=5 --set restarts=0 --out {tmp_path / 'run'} --resume"
    )
    assert report.epochs == 2
    with pytest.raises(UserError, match="different settings: its 'options' is"):
        train("xor", out=tmp_path / "run", resume=True, overrides={"epochs": "9"})


@pytest.mark.slow
def test_a_training_starts_from_a_run_and_says_what_did_not_fit(tmp_path: Path) -> None:
    train("xor", out=tmp_path / "first", overrides=QUICK)

    report = train("xor", out=tmp_path / "second", overrides=QUICK, init_from=tmp_path / "first", freeze=("hidden",))

    run = read_any(tmp_path / "second")
    assert run.freeze == ("hidden",)
    assert run.init_from == read_any(tmp_path / "first").weights_sha256
    assert report.warnings == ()
    assert f"--init-from {tmp_path / 'first'} --freeze hidden" in run.command


def test_weights_are_found_by_the_name_of_a_model() -> None:
    with weights_of("fashion") as path:
        assert path == shipped_weights("fashion")


@pytest.mark.parametrize("with_weights", [True, False])
def test_a_bundle_is_asked_for_its_weights(tmp_path: Path, with_weights: bool) -> None:
    if with_weights:
        (tmp_path / "weights.safetensors").write_bytes(b"tensors")
    write_manifest(tmp_path, Manifest(ModelSpec("net", "other", ()), (), {}, created="2026-01-01T00:00:00+00:00"))

    if with_weights:
        with weights_of(str(tmp_path)) as path:
            assert path is not None
            assert path.read_bytes() == b"tensors"
    else:
        with pytest.raises(UserError, match="contains no weights"), weights_of(str(tmp_path)):
            pass


def test_what_holds_no_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contains no weights to start from"), weights_of(str(tmp_path)):
        pass


@pytest.mark.slow
def test_a_search_ends_in_a_command_and_leaves_what_was_set_alone(tmp_path: Path) -> None:
    order: dict[str, Any] = {"out": tmp_path / "s", "overrides": {**QUICK, "optimizer": "sgd"}}

    report = search("regression", 1, **order)
    again = search("regression", 2, **order)

    assert (report.trials, again.trials) == (1, 2)
    assert again.train_command.startswith("edgekit train regression --out runs/regression --set epochs=1")
    assert "--set optimizer=sgd" in again.train_command
    assert set(again.options) == {"learning_rate", "weight_decay", "batch_size", "schedule"}


@pytest.mark.slow
def test_a_folder_of_one_search_is_not_for_another_model(tmp_path: Path) -> None:
    search("regression", 1, out=tmp_path, overrides=QUICK)

    with pytest.raises(UserError, match="contains a search for 'regression'"):
        search("xor", 1, out=tmp_path, overrides=QUICK)


@pytest.mark.slow
def test_a_run_is_a_report_with_its_history_and_whether_it_met_the_floor(tmp_path: Path) -> None:
    train("xor", out=tmp_path / "run", overrides=QUICK)

    report = report_of(tmp_path / "run")

    assert report.training is not None
    assert [epoch.epoch for epoch in report.training.epochs] == [1]
    assert report.training.command == "edgekit train xor --set epochs=1 --set passes=5 --set restarts=0"
    assert report.verdict is (Verdict.PASS if report.training.quality.value == 1.0 else Verdict.FAIL)


def test_only_the_first_of_many_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("RANK", "1")

    assert not flow.is_leader()


def test_a_missing_package_for_training_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What `make demo` installs cannot train, which was reported as a bug in edgekit.
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)

    with pytest.raises(MissingExtra, match="'lightning_fabric', which is not installed") as raised:
        train("xor", out=tmp_path / "run")

    assert "lightning-fabric>=" in raised.value.hint
