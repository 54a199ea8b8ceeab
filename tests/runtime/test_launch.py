"""One launch in a fresh process: one line of JSON, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.job import Job, JobFailure, JobResult
from edgekit.core.samples import read_arrays, write_arrays
from edgekit.core.system.files import sha256_file
from edgekit.runtime import launch as launches
from edgekit.runtime.backends.fake import FakeBackend, FakeSession
from edgekit.runtime.launch import read_feeds, write_outputs
from edgekit.runtime.portable import runner

Rows = NDArray[np.float32]


@pytest.fixture
def job(data: Path, tmp_path: Path, rows: Rows) -> Job:
    """A short job of the linear ONNX model with two feeds."""
    write_outputs(tmp_path / "feeds.npz", [{"x": rows[:1]}, {"x": rows[1:4]}])
    artifact = data / "linear.onnx"
    return Job(
        artifact=str(artifact),
        sha256=sha256_file(artifact),
        format="onnx",
        feeds=str(tmp_path / "feeds.npz"),
        outputs=str(tmp_path / "outputs.npz"),
        time_limit_s=0.05,
        min_values=5,
        max_values=20,
    )


def start(job: Job, folder: Path, *options: str, **more: Any) -> subprocess.Popen[bytes]:
    (folder / "job.json").write_bytes(msgspec.json.encode(job))
    command = [sys.executable, "-m", "edgekit.runtime.launch", *options, str(folder / "job.json")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    with process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def failure(job: Job, folder: Path) -> JobFailure:
    code, out, _ = end(start(job, folder))
    found = msgspec.json.decode(out, type=JobFailure)
    assert found.exit_code == code
    return found


def test_a_launch_tells_load_first_run_warmups_and_values(job: Job, tmp_path: Path) -> None:
    code, out, err = end(start(job, tmp_path))

    result = msgspec.json.decode(out, type=JobResult)
    assert (code, err, out.count(b"\n")) == (0, b"", 1)
    assert (result.backend, result.provider) == ("onnxruntime", "cpu")
    assert 5 <= len(result.values) <= 20
    assert len(result.warmups) >= 1
    assert min(result.load_s, result.first_run_s, *result.values, *result.warmups) > 0
    assert result.peak_memory_bytes is not None
    assert result.peak_memory_bytes > 1e7
    assert result.before.cpu == result.after.cpu


class Clock:
    """Seconds that pass only where a model is loaded, runs first, or runs again."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.runs = 0

    def load(self, work: Callable[..., Any], *given: Any) -> Any:
        self.at_s += 3.0
        return work(*given)

    def run(self, work: Callable[..., Any], *given: Any) -> Any:
        self.runs += 1
        self.at_s += 5.0 if self.runs == 1 else 1.0
        return work(*given)

    def perf_counter(self) -> float:
        return self.at_s

    def perf_counter_ns(self) -> int:
        return round(self.at_s * 1e9)


def test_the_time_to_load_and_that_of_the_first_run_are_each_their_own(
    job: Job, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    before_open, before_run = FakeBackend.open, FakeSession.run
    monkeypatch.setattr(FakeBackend, "open", lambda *given: clock.load(before_open, *given))
    monkeypatch.setattr(FakeSession, "run", lambda *given: clock.run(before_run, *given))
    monkeypatch.setattr(launches, "time", clock)
    fake = data / "linear.fake.json"

    result = launches.launch(
        msgspec.structs.replace(job, artifact=str(fake), sha256=sha256_file(fake), format="fake", outputs="")
    )

    assert (result.load_s, result.first_run_s) == (3.0, 5.0)


def test_the_portable_runner_keeps_load_and_first_run_apart_as_well(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    before_open, before_run = runner.open_session, runner.OnnxSession.run
    monkeypatch.setattr(runner, "open_session", lambda given: clock.load(before_open, given))
    monkeypatch.setattr(runner.OnnxSession, "run", lambda *given: clock.run(before_run, *given))
    monkeypatch.setattr(runner, "time", clock)

    result = runner.launch(msgspec.to_builtins(msgspec.structs.replace(job, outputs="", time_limit_s=0.0)))

    assert (result["load_s"], result["first_run_s"]) == (3.0, 5.0)


def test_every_feed_is_run_once_and_its_outputs_written(job: Job, tmp_path: Path, expected: Rows) -> None:
    end(start(job, tmp_path))

    outputs = read_arrays(tmp_path / "outputs.npz", UserError)
    assert set(outputs) == {"0:y", "1:y"}
    np.testing.assert_array_equal(outputs["0:y"], expected[:1])
    np.testing.assert_array_equal(outputs["1:y"], expected[1:4])


@pytest.mark.parametrize("file", ["linear.tflite", "linear.fake.json"])
def test_the_format_chooses_the_backend(job: Job, data: Path, tmp_path: Path, file: str, expected: Rows) -> None:
    kind = "fake" if "fake" in file else "tflite"
    other = msgspec.structs.replace(job, artifact=str(data / file), sha256=sha256_file(data / file), format=kind)

    code, _, err = end(start(other, tmp_path))

    assert (code, err) == (0, b"")
    np.testing.assert_array_equal(read_arrays(tmp_path / "outputs.npz", UserError)["0:y"], expected[:1])


@pytest.mark.parametrize(
    ("change", "error", "exit_code"),
    [
        ({"sha256": "0" * 64}, "ModelUnreadable", 5),
        ({"artifact": "/nowhere/net.onnx"}, "ModelUnreadable", 5),
        ({"feeds": "/nowhere/feeds.npz"}, "UserError", 2),
        ({"options": {"provider": "cuda"}}, "ProviderRefused", 3),
        ({"options": {"threads": "none"}}, "UserError", 2),
        ({"backend": "onnxrt"}, "UserError", 2),
        ({"backend": "litert"}, "UserError", 2),
        ({"format": "pte"}, "UserError", 2),
    ],
)
def test_a_failure_is_one_line_with_the_exit_code_of_its_class(
    job: Job, tmp_path: Path, change: dict[str, Any], error: str, exit_code: int
) -> None:
    found = failure(msgspec.structs.replace(job, **change), tmp_path)

    assert (found.error, found.exit_code) == (error, exit_code)
    assert found.message


def test_an_unexpected_error_is_a_fault_of_ours_with_its_traceback_on_stderr(job: Job, tmp_path: Path) -> None:
    program = (
        "import sys, edgekit.runtime.launch as launch\n"
        "launch.reset_peak = lambda: 1 / 0\n"
        "sys.exit(launch.main(sys.argv[1:]))"
    )
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(job))

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "job.json")], capture_output=True, text=True, check=False
    )

    found = json.loads(done.stdout)
    assert done.returncode == found["exit_code"] == 70
    assert found["message"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in done.stderr


MARKED = """
import sys, pathlib, edgekit.runtime.launch as launch
take_values = launch.take_values
def marked(*args, **options):
    pathlib.Path(sys.argv[1]).touch()
    return take_values(*args, **options)
launch.take_values = marked
sys.exit(launch.main(sys.argv[2:]))
"""


def endless(job: Job) -> bytes:
    """The job, measuring for a minute."""
    return msgspec.json.encode(msgspec.structs.replace(job, time_limit_s=60.0, max_values=10**9)) + b"\n"


def measuring(folder: Path, source: str, **more: Any) -> subprocess.Popen[bytes]:
    """A launch of the job from `source` that has begun to measure."""
    marker = folder / "measuring"
    command = [sys.executable, "-c", MARKED, str(marker), source]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    while process.poll() is None and not marker.exists():
        time.sleep(0.01)
    return process


def test_ctrl_c_ends_in_130(job: Job, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_bytes(endless(job))
    process = measuring(tmp_path, str(tmp_path / "job.json"))

    process.send_signal(signal.SIGINT)
    code, out, _ = end(process)

    assert code == 130
    assert msgspec.json.decode(out, type=JobFailure).error == "Interrupted"


def test_a_job_from_standard_input_ends_when_that_closes(job: Job, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, endless(job))
    process = measuring(tmp_path, "-", stdin=read_end)
    os.close(read_end)

    os.close(write_end)
    code, out, _ = end(process)

    assert (code, out) == (130, b"")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "The job is not an edgekit JSON document."),
        (b"{}\n", "The job has no schema_version."),
        (b'{"schema_version": 99}\n', "The job has schema 99; this edgekit reads up to 1."),
        (b'{"schema_version": 1}\n', "The job is damaged: Object missing required field `artifact`."),
    ],
)
def test_a_job_that_is_none_is_refused(text: bytes, message: str) -> None:
    command = [sys.executable, "-m", "edgekit.runtime.launch", "-"]
    read_end, write_end = os.pipe()
    os.write(write_end, text)
    process = subprocess.Popen(command, stdin=read_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(read_end)
    if not text:
        os.close(write_end)
    code, out, _ = end(process)
    if text:
        os.close(write_end)

    assert code == 2
    assert msgspec.json.decode(out, type=JobFailure).message == message


@pytest.mark.parametrize("keys", [["x"], ["a:x"], ["1:x"], ["0:x", "2:x"], []])
def test_feeds_named_otherwise_are_refused(tmp_path: Path, keys: list[str]) -> None:
    write_arrays(tmp_path / "feeds.npz", {key: np.zeros(1) for key in keys})

    with pytest.raises(UserError, match=r"feeds"):
        read_feeds(tmp_path / "feeds.npz")


def test_feeds_come_back_in_the_order_of_their_index(tmp_path: Path) -> None:
    write_outputs(tmp_path / "feeds.npz", [{"x": np.array([place])} for place in range(12)])

    assert [int(feed["x"][0]) for feed in read_feeds(tmp_path / "feeds.npz")] == list(range(12))


LIGHT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "tensorflow", "jax", "onnxruntime", "ai_edge_litert"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import importlib, pkgutil, edgekit.runtime, edgekit.devices
for package in (edgekit.runtime, edgekit.devices):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def test_runtime_and_devices_import_without_any_engine() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True, timeout=60)
