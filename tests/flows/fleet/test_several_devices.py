"""Several devices in one command: at the same time, one of them lost, and resumed. Real sshds, a backend of 2 s."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.standins.cache import required
from tests.standins.desk import Host, running_desk

from edgekit.core.reports.comparison import COMPARISON_SCHEMA, ComparisonReport
from edgekit.core.reports.report import REPORT_SCHEMA, Report
from edgekit.core.system import documents

pytestmark = [pytest.mark.slow, pytest.mark.device]

LINEAR = Path(__file__).parents[2] / "runtime" / "data" / "linear.onnx"
NAMES = ["pi-a", "pi-b", "pi-c", "pi-d"]
LAUNCH_S = 2.0


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Host]]:
    with required(), running_desk(tmp_path, NAMES, launch_s=LAUNCH_S) as hosts:
        monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
        yield hosts


def profile(folder: Path, target: str, *more: str, launches: int = 5) -> subprocess.Popen[str]:
    how = ["--target", target, "--launches", str(launches), "--time-limit", "50ms"]
    return started(folder, "profile", str(LINEAR), *how, *more)


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgekit", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EDGEKIT_LEASES": str(folder / "leases")},
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str], code: int) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    return out + err


def read(path: Path) -> Report:
    return documents.read(path, Report, newest=REPORT_SCHEMA)


def eventually(host: Host, launches: int) -> None:
    deadline = time.monotonic() + 60
    while len(host.launches) < launches:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_four_devices_work_at_the_same_time(desk: list[Host], tmp_path: Path) -> None:
    """No launch goes on before all four devices are in one. `benchmarks/fleet/several_devices.py` measures the time."""
    for host in desk:
        host.meets(tmp_path / "meeting", len(desk))

    finished(profile(tmp_path, ",".join(NAMES), launches=3), 0)

    for host in desk:
        assert len(host.launches) >= 6
        assert host.launches == ["begin", "end"] * (len(host.launches) // 2), "two launches at the same time"


def test_a_device_that_is_killed_in_the_middle_costs_its_own_measurements_only(
    desk: list[Host], tmp_path: Path
) -> None:
    process = profile(tmp_path, ",".join(NAMES), "--report", "first.json")
    eventually(desk[2], 3)
    desk[2].kill()
    said = finished(process, 3)

    first = read(tmp_path / "first.json")
    assert first.verdict == "incomplete"
    assert {(one.target, one.kind) for one in first.missing} == {("pi-c", "away")}
    # On a busy machine a median may be withheld; all launches are there.
    complete = {one.target for one in first.measurements if one.metric == "latency" and len(one.launch_values) >= 5}
    assert complete == {"pi-a", "pi-b", "pi-d"}
    assert "--resume first.json" in said

    desk[2].start()
    before = [len(one.launches) for one in desk]
    finished(
        profile(tmp_path, ",".join(NAMES), "--resume", "first.json", "--report", "second.json", "--wait", "2min"), 0
    )

    second = read(tmp_path / "second.json")
    assert (second.verdict, second.missing) == ("pass", ())
    assert [one.target for one in second.latency] == NAMES
    assert [len(one.launches) - count for one, count in zip(desk, before, strict=True)] == [
        0,
        0,
        pytest.approx(15, abs=5),
        0,
    ]
    kept = [one for one in first.measurements if one.target != "pi-c"]
    assert [one for one in second.measurements if one.target != "pi-c"] == kept


def test_ctrl_c_ends_all_devices_at_once_and_keeps_what_was_measured(desk: list[Host], tmp_path: Path) -> None:
    process = profile(tmp_path, ",".join(NAMES), "--report", "first.json", launches=20)
    for host in desk:
        eventually(host, 3)
    children = psutil.Process(process.pid).children(recursive=True)
    ended = [host.launches.count("end") for host in desk]
    os.kill(process.pid, signal.SIGINT)
    finished(process, 130)

    # The launches that ran were killed; one may have ended before the signal arrived.
    assert all(host.launches.count("end") <= count + 1 for host, count in zip(desk, ended, strict=True))
    assert psutil.wait_procs(children, timeout=5)[1] == []
    first = read(tmp_path / "first.json")
    assert {one.target for one in first.measurements} == set(NAMES)
    assert {one.kind for one in first.missing} == {"interrupted"}
    for host in desk:
        assert list((host.home / ".cache/edgekit/run").glob("*")) == []


def test_a_device_that_is_away_does_not_stop_the_others(desk: list[Host], tmp_path: Path) -> None:
    desk[1].kill()

    said = finished(profile(tmp_path, "pi-a,pi-b", launches=1), 3)

    assert "INCOMPLETE" in said
    kept = json.loads((tmp_path / "linear.incomplete.json").read_text())
    assert [one["target"] for one in kept["missing"]] == ["pi-b"]
    assert "--resume linear.incomplete.json" in said

    # One device alone leaves a report of a comparison too: of the files, and of what is missing.
    pair = ["compare", str(LINEAR), str(LINEAR), "--target", "pi-b", "--report", "compared.json"]
    said = finished(started(tmp_path, *pair), 3)

    assert "pi-b was not measured: No response from 'pi-b'" in said
    compared = documents.read(tmp_path / "compared.json", ComparisonReport, newest=COMPARISON_SCHEMA)
    assert (compared.verdict, [one.target for one in compared.missing]) == ("incomplete", ["pi-b"])
    assert compared.files is not None


def test_a_build_that_lost_a_device_is_resumed_there_unless_its_source_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real backends on both devices: what is resumed is the same bundle, and the report has both."""
    source = Path(shutil.copy(LINEAR, tmp_path / "net.onnx"))
    words = ["build", "net.onnx", "--out", "out", "--launches", "2", "--time-limit", "10ms"]
    words += ["--target", "pi-a,pi-b", "--to", "onnx-fp32"]
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
    with required(), running_desk(tmp_path, NAMES[:2], launch_s=None) as hosts:
        hosts[1].kill()
        said = finished(started(tmp_path, *words), 3)
        (hint,) = [line for line in said.splitlines() if line.startswith("Hint: edgekit build ")]
        hosts[1].start()
        made = read(tmp_path / "out/report.json")
        again = [*shlex.split(hint.removeprefix("Hint: edgekit ")), "--launches", "2", "--time-limit", "10ms"]

        kept = source.read_bytes()
        source.write_bytes(kept + b"\x7a\x01x")
        refused = finished(started(tmp_path, *again), 2)
        refused += finished(started(tmp_path, *again, "--opset", "17"), 2)
        source.write_bytes(kept)
        finished(started(tmp_path, *again), 0)

    assert "The build in 'out' was made from something else: 'net.onnx' has changed." in refused
    assert "--opset was not given" in refused
    assert "edgekit build net.onnx --out out --force" in refused
    whole = read(tmp_path / "out/report.json")
    assert [(made.verdict, one.target) for one in made.missing] == [("incomplete", "pi-b")]
    assert (whole.verdict, whole.missing, whole.origin) == ("pass", (), made.origin)
    assert [one for one in whole.measurements if one.target == "pi-a"] == list(made.measurements)
    assert [(one.target, len(one.launches)) for one in whole.measurements] == [("pi-a", 2), ("pi-b", 2)]
