"""A sweep measures every combination once, goes on where it was stopped, and says what backend versions cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from benchmarks.sweeps.pretended import pretend
from tests.flows import onnx_files
from tests.flows.scripted import fake_model

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError
from edgekit.core.reports.sweep import SweepReport
from edgekit.core.system.durable.claims import claimed
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.sweep import sweep, sweep_order
from edgekit.flows.sweeping.backend_versions import BackendVersion


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two models on the invented device, with two numbers of threads and two batch sizes."""
    folder = tmp_path / "project"
    folder.mkdir()
    fake_model(folder / "a.fake.json")
    fake_model(folder / "b.fake.json", offset=1.0)
    return written(folder / "sweep.toml", models=["a.fake.json", "b.fake.json"], threads=[1, 2], batch=[1, 4])


def written(path: Path, *, target: str = "fake", launches: int = 5, **keys: Any) -> Path:
    lines = {"target": [target], "launches": launches, "time_limit_s": 0.01, **keys}
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()))
    return path


def launches_in(results: Path) -> list[tuple[str, int]]:
    """The key and the round of every whole line that counts."""
    lines = [json.loads(line) for line in results.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [(one["key"], one["round"]) for one in lines if one["type"] == "launch" and not one["is_replaced"]]


def test_every_combination_is_measured_and_kept(file: Path) -> None:
    report = sweep(file)

    rows = {(one.model, one.target, one.batch) for one in report.combinations}
    assert len(rows) == len(report.combinations) == 8
    assert {one.launches for one in report.combinations} == {5}
    assert (report.launched, report.verdict, report.exit_code) == (40, Verdict.PASS, 0)
    assert set(Counter(launches_in(file.with_suffix(".jsonl"))).values()) == {1}


def test_rounds_are_shuffled_and_each_has_every_combination_once(file: Path) -> None:
    sweep(file)

    order = launches_in(file.with_suffix(".jsonl"))
    rounds = [[key for key, number in order if number == each] for each in range(5)]
    assert [number for _, number in order] == sorted(number for _, number in order)
    assert all(set(one) == set(rounds[0]) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1


def test_what_was_measured_is_not_measured_again_unless_asked(file: Path) -> None:
    first = sweep(file)
    second = sweep(file)
    third = sweep(file, again=True)

    assert (second.launched, third.launched) == (0, 40)
    assert [one.latency for one in second.combinations] == [one.latency for one in first.combinations]
    assert [one.earlier for one in second.combinations] == [5] * 8
    assert [one.launches for one in third.combinations] == [5] * 8


def test_only_what_is_new_is_measured(file: Path) -> None:
    sweep(file)
    written(file, models=["b.fake.json", "a.fake.json"], threads=[1, 2], batch=[1, 4, 8], launches=6)

    report = sweep(file)

    # One more launch of 8 combinations, and 6 of 4 new ones.
    assert report.launched == 8 + 24
    assert set(Counter(launches_in(file.with_suffix(".jsonl"))).values()) == {1}


def test_another_file_under_the_same_name_is_measured(file: Path) -> None:
    sweep(file)
    fake_model(file.parent / "a.fake.json", offset=2.0)

    assert sweep(file).launched == 20


def test_a_kill_before_an_interrupted_launch_was_repeated_costs_no_launch(file: Path) -> None:
    sweep(file)
    results = file.with_suffix(".jsonl")
    *lines, last = results.read_text().splitlines(keepends=True)
    # The line that was written when the process ended, and not yet that of the repetition.
    results.write_text("".join([*lines, json.dumps({**json.loads(last), "is_replaced": True}) + "\n"]))

    report = sweep(file)

    assert report.launched == 1
    assert {one.launches for one in report.combinations} == {5}


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_measures_nothing_twice(file: Path) -> None:
    written(file, models=["a.fake.json", "b.fake.json"], batch=[1, 4], launches=50)
    results = file.with_suffix(".jsonl")
    process = subprocess.Popen([sys.executable, "-m", "edgekit", "sweep", str(file)], stderr=subprocess.DEVNULL)
    while not (results.is_file() and results.read_bytes().count(b"\n") > 20):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = len(launches_in(results))
    with results.open("ab") as stream:
        stream.write(b'{"type": "launch", "key": "torn')

    report = sweep(file)

    assert 20 < before < 200
    assert report.launched == 200 - before
    assert Counter(launches_in(results)) == Counter(dict.fromkeys(set(launches_in(results)), 1))
    assert len(launches_in(results)) == 200


@pytest.mark.slow
def test_ctrl_c_leaves_a_report_that_says_what_is_missing(file: Path) -> None:
    written(file, models=["a.fake.json"], launches=1000, batch=list(range(1, 9)))
    results = file.with_suffix(".jsonl")
    command = [sys.executable, "-m", "edgekit", "sweep", str(file), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while not (results.is_file() and results.read_bytes().count(b"\n") > 20):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    document = json.loads(out)
    assert process.returncode == 130
    assert {one["kind"] for one in document["missing"]} == {"interrupted"}
    assert document["launched"] == len(launches_in(results))


def test_a_second_sweep_into_the_same_results_is_refused(file: Path) -> None:
    from edgekit.core.system.durable.claims import claimed

    with claimed(file.with_suffix(".jsonl")), pytest.raises(UserError, match="Another edgekit is writing"):
        sweep(file)


def test_a_file_that_is_not_of_a_sweep_is_refused_and_left_alone(file: Path) -> None:
    results = file.with_suffix(".jsonl")
    results.write_text('{"text": "a line of a data set"}\n')

    with pytest.raises(Unreadable, match=r"Line 1 of '.*sweep.jsonl' is not a line of a sweep"):
        sweep(file)

    assert results.read_text() == '{"text": "a line of a data set"}\n'


@pytest.mark.slow
def test_versions_of_a_backend_are_compared_and_a_slowed_one_is_found(tmp_path: Path) -> None:
    onnx_files.dense(tmp_path / "net.onnx")
    engines = [str(pretend("9.9.1")), str(pretend("9.9.2", slower=1.0))]
    file = written(tmp_path / "sweep.toml", target="local", models=["net.onnx"], engine=engines)

    report = sweep(file)
    again = sweep(file)

    assert [one.engine for one in report.combinations] == engines
    assert [one.latency.engine for one in report.combinations if one.latency] == [
        "onnxruntime 9.9.1",
        "onnxruntime 9.9.2",
    ]
    (found,) = report.verdicts
    assert (found.model, found.compared.a, found.compared.b) == ("net.onnx", *engines)
    assert (found.compared.says, report.verdict, report.exit_code) == ("slower", Verdict.FAIL, 1)
    assert (again.launched, again.verdicts) == (0, report.verdicts)
    assert_paired(report, tmp_path / "sweep.jsonl")


def assert_paired(report: SweepReport, results: Path) -> None:
    """Both versions are launched one after the other in every round, and neither is always the first."""
    order = launches_in(results)
    rounds = [[key for key, number in order if number == each] for each in range(len(order) // 2)]
    assert all(set(one) == {row.key for row in report.combinations} for one in rounds)
    assert len({one[0] for one in rounds}) == 2


def test_a_version_that_is_not_installed_is_not_downloaded(tmp_path: Path) -> None:
    onnx_files.dense(tmp_path / "net.onnx")
    file = written(tmp_path / "sweep.toml", target="local", models=["net.onnx"], engine=["onnxruntime==1.30.0"])

    with pytest.raises(EnvironmentFault, match=r"Not installed: onnxruntime==1\.30\.0") as caught:
        sweep(file)
    with pytest.raises(EnvironmentFault, match="which --offline forbids"):
        sweep(file, install=True, settings=Settings(offline=True))
    with sweep_order(file, install=True) as order:
        assert order.steps()[0].startswith("pip install onnxruntime==1.30.0 into ")

    assert caught.value.hint == f"edgekit sweep {file} --install"
    assert not BackendVersion("onnxruntime", "1.30.0").folder.exists()


@pytest.mark.slow
def test_a_version_that_pip_cannot_install_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without an index pip fails at once, and without a network.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    engine = BackendVersion("onnxruntime", "0.0.1")

    with pytest.raises(EnvironmentFault, match=r"'onnxruntime==0\.0\.1' was not installed: 'python' exited with 1"):
        engine.install()

    assert not engine.folder.exists()


@pytest.mark.slow
def test_a_version_that_another_sweep_installs_meanwhile_is_not_installed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    engine = BackendVersion("onnxruntime", "9.9.5")
    engine.folder.parent.mkdir(parents=True)
    with ThreadPoolExecutor() as threads, claimed(engine.folder):
        waiting = threads.submit(engine.install)
        pretend(engine.version)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)

    waiting.result(timeout=60)
    engine.check()


def test_an_environment_of_a_version_that_has_changed_is_not_run(tmp_path: Path) -> None:
    onnx_files.dense(tmp_path / "net.onnx")
    engine = pretend("9.9.3")
    (engine.packages / "planted.py").write_text("")
    file = written(tmp_path / "sweep.toml", target="local", models=["net.onnx"], engine=[str(engine)])

    with pytest.raises(Unreadable, match="has changed since it was installed"):
        sweep(file)


def test_an_environment_of_another_version_is_found_out(tmp_path: Path) -> None:
    from edgekit.core.system.environments import seal_folder

    onnx_files.dense(tmp_path / "net.onnx")
    engine = BackendVersion("onnxruntime", "9.9.4")
    engine.packages.mkdir(parents=True)
    seal_folder(engine.folder, str(engine))
    file = written(tmp_path / "sweep.toml", target="local", models=["net.onnx"], engine=[str(engine)])

    with pytest.raises(EnvironmentFault, match=r"ran in 'onnxruntime .*' instead of 'onnxruntime==9\.9\.4'"):
        sweep(file)
