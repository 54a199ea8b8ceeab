"""This machine as a device: fresh processes that end, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit.core.errors import DeviceError, DeviceUnavailable, ModelUnreadable, Refused
from edgekit.core.job import Job, JobFailure, JobResult
from edgekit.core.samples import write_arrays
from edgekit.core.system.files import sha256_file
from edgekit.core.system.processes import Finished
from edgekit.devices import local
from edgekit.devices.local import LocalDevice, read_answer

DATA = Path(__file__).parents[1] / "runtime" / "data"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A short job."""
    write_arrays(tmp_path / "feeds.npz", {"0:x": np.ones((1, 3), np.float32)})
    artifact = DATA / "linear.onnx"
    return Job(
        artifact=str(artifact),
        sha256=sha256_file(artifact),
        format="onnx",
        feeds=str(tmp_path / "feeds.npz"),
        time_limit_s=0.02,
        min_values=5,
        max_values=5,
    )


def endless(job: Job) -> Job:
    return msgspec.structs.replace(job, time_limit_s=60.0, max_values=10**9)


def test_each_launch_is_a_fresh_process_that_leaves_no_file(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    with LocalDevice() as device:
        first, second = device.measure(job), device.measure(job)

    assert first.values != second.values
    assert list(folder.iterdir()) == []


def test_a_launch_that_takes_too_long_is_stopped(job: Job, tmp_path: Path) -> None:
    device = LocalDevice(timeout_s=2.0)
    before = launches()

    with pytest.raises(DeviceError, match="took longer than 2 s"):
        device.measure(endless(job))

    assert [launch for launch in launches() if launch not in before] == []


def test_facts_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    device = LocalDevice()
    facts = device.facts()
    monkeypatch.setattr(device, "_run", None)

    assert device.facts() is facts
    assert device.emulated is facts.emulated


def test_facts_that_cannot_be_read_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "FACTS", "edgekit.runtime.nothing")

    with pytest.raises(DeviceUnavailable, match=r"No module named edgekit\.runtime\.nothing"):
        LocalDevice().facts()


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (Finished(-15, b"", "one\n\ntwo\n"), "was killed by SIGTERM without a result.\n  one\n  two"),
        (Finished(-9, b"", ""), "was killed by SIGKILL without a result."),
        (Finished(1, b"", "Traceback\n"), "exited with 1 without a result.\n  Traceback"),
        (Finished(0, b"hello", ""), "The result of the launch is not an edgekit JSON document"),
        (Finished(0, b'{"schema_version": 99}', ""), "has schema 99; this edgekit reads up to 1."),
        (Finished(2, b'{"schema_version": 1}', ""), "The result of the launch is damaged"),
    ],
)
def test_a_launch_without_a_proper_answer_is_a_device_error(ended: Finished, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        read_answer(ended, 10.0)

    assert message in caught.value.message


def test_only_the_last_lines_of_stderr_are_reported() -> None:
    many = "".join(f"line {n}\n" for n in range(100))

    with pytest.raises(DeviceError) as caught:
        read_answer(Finished(-9, b"", many), 10.0)

    assert caught.value.message.count("\n") == 5
    assert "line 99" in caught.value.message


def test_an_engine_that_crashes_is_an_error_of_the_model(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("import os\nos.write(2, b'bad kernel\\n')\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(ModelUnreadable) as caught:
        LocalDevice().measure(job)

    assert caught.value.message == "The backend crashed (SIGABRT) in a launch on 'local'.\n  bad kernel"


def test_a_reported_error_keeps_its_class_hint_and_code() -> None:
    failure = JobFailure(error="Refused", message="no", hint="try", code="too-large")

    with pytest.raises(Refused) as caught:
        read_answer(Finished(2, msgspec.json.encode(failure), ""), 10.0)

    assert (caught.value.message, caught.value.hint, caught.value.code) == ("no", "try", "too-large")


def test_a_result_is_read_back_as_it_was_printed() -> None:
    result = JobResult(
        backend="fake", engine="fake 1", provider="cpu", values=(1.0,), warmups=(), load_s=1.0, first_run_s=1.0
    )

    assert read_answer(Finished(0, msgspec.json.encode(result) + b"\n", "noise"), 1.0) == result


WAITING = """
import sys, msgspec
from edgekit.core.job import Job
from edgekit.devices.local import LocalDevice
LocalDevice().measure(msgspec.json.decode(sys.argv[1], type=Job))
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_launch_outlives_the_program_that_asked(job: Job, end: signal.Signals) -> None:
    text = msgspec.json.encode(endless(job)).decode()
    program = subprocess.Popen([sys.executable, "-c", WAITING, text], stderr=subprocess.DEVNULL)
    wait_until(lambda: children(program.pid) != [])
    launch = children(program.pid)[0]

    program.send_signal(end)
    program.wait(timeout=30)

    wait_until(lambda: not is_running(launch))


def wait_until(condition: object, seconds: float = 30.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def launches() -> list[int]:
    return children(os.getpid())


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
