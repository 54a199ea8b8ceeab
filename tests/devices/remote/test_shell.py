"""A launch over a shell: what goes there, what comes back, and what each fault ends in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.standins.jobs import X, job_of
from tests.standins.local_shell import LocalShell

from edgekit.core.errors import (
    DeviceError,
    DeviceUnavailable,
    DiskFull,
    ModelUnreadable,
    ProviderRefused,
    UserError,
)
from edgekit.core.job import Job
from edgekit.core.samples import Array, read_arrays
from edgekit.core.system.files import sha256_file
from edgekit.devices.remote.launches import measure
from edgekit.devices.remote.runners import NativeRunner, PythonRunner
from edgekit.devices.remote.shell import run_program
from edgekit.devices.remote.transfer import ensure, sender
from edgekit.runtime.launch import launch
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER


@dataclass(frozen=True)
class Model:
    name: str
    feeds: dict[str, Array] = field(default_factory=dict)


PYTHON = PythonRunner(PYTHON_RUNNER)
MODELS = [
    Model("linear.onnx"),
    Model("linear.tflite"),
    Model("quantized.tflite"),
    Model("two.onnx", {"0:a": X, "0:b": 2 * X}),
    Model("two.tflite", {"0:a": X, "0:b": 2 * X}),
    Model("bare.tflite", {"0:x": np.concatenate([X, -X])}),
    Model("lookup.onnx", {"0:ids": np.array([[0, 2, 4]], dtype=np.int64)}),
    Model("lookup.tflite", {"0:ids": np.array([[0, 2, 4, 1]], dtype=np.int64)}),
    Model("nonzero.onnx", {"0:x": np.array([0, 1, 0, 1], dtype=np.float32)}),
]


def leftovers(shell: LocalShell) -> list[str]:
    """What a launch left behind, and uploads that did not end."""
    runs = [str(path) for path in (shell.folder / "run").glob("*")]
    return runs + [path.name for path in (shell.folder / "blobs").glob("*.part")]


@contextmanager
def long_launch(shell: LocalShell, folder: Path) -> Iterator[Callable[[], BaseException | None]]:
    """A launch that goes on for a minute, in a thread; gives what waits for its end and returns its error."""
    errors: list[BaseException] = []
    job = job_of("linear.onnx", folder, time_limit_s=60, min_values=10**9)

    def work() -> None:
        try:
            measure(shell, msgspec.structs.replace(job, max_values=10**9), PYTHON, timeout_s=60)
        except Exception as err:  # noqa: BLE001 - handed to the test
            errors.append(err)

    def wait() -> BaseException | None:
        thread.join(30)
        assert not thread.is_alive()
        return errors[0] if errors else None

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield wait
    finally:
        thread.join(90)


def runner_pid(shell: LocalShell) -> int:
    """Process number of the Python that runs the launch, once it runs."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for file in (shell.folder / "run").glob("*/pid"):
            children = subprocess.run(["pgrep", "-P", file.read_text().strip()], capture_output=True, check=False)
            if children.stdout:
                return int(children.stdout.split()[0])
        time.sleep(0.02)
    raise AssertionError("the launch did not start")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_portable_runner_gives_what_the_launch_on_this_machine_gives(
    here: LocalShell, tmp_path: Path, model: Model
) -> None:
    job = job_of(model.name, tmp_path, feeds=model.feeds)
    expected = launch(job)
    answers = read_arrays(Path(job.outputs), UserError)

    result = measure(here, job, PYTHON, timeout_s=60)

    assert (result.backend, result.engine, result.provider) == (expected.backend, expected.engine, expected.provider)
    assert 3 <= len(result.values) <= 9
    assert min(*result.values, result.load_s, result.first_run_s) > 0
    assert result.peak_memory_bytes
    got = read_arrays(Path(job.outputs), UserError)
    assert got.keys() == answers.keys()
    for name, array in answers.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("model", [m for m in MODELS if m.name.endswith(".onnx")], ids=lambda model: model.name)
def test_the_c_runner_gives_what_the_launch_on_this_machine_gives(
    here: LocalShell, tmp_path: Path, model: Model
) -> None:
    job = job_of(model.name, tmp_path, feeds=model.feeds)
    expected = launch(job)
    answers = read_arrays(Path(job.outputs), UserError)

    result = measure(here, job, native_runner(here), timeout_s=60)

    assert (result.backend, result.engine, result.provider) == (expected.backend, expected.engine, expected.provider)
    assert 3 <= len(result.values) <= 9
    assert min(*result.values, result.load_s, result.first_run_s) > 0
    assert result.peak_memory_bytes
    got = read_arrays(Path(job.outputs), UserError)
    assert got.keys() == answers.keys()
    for name, array in answers.items():
        assert (got[name].dtype, got[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(got[name], array)
    assert leftovers(here) == []
    assert not (here.home / ".cache/Microsoft").exists(), "ONNX Runtime's telemetry is on"


def native_runner(shell: LocalShell) -> NativeRunner:
    """The C runner of this machine, with the ONNX Runtime of this Python."""
    import onnxruntime

    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    shell.folder.mkdir(parents=True, exist_ok=True)
    (shell.folder / "native").symlink_to(library.parent)
    return NativeRunner(C_RUNNERS[os.uname().machine], f"native/{library.name}")


@pytest.mark.parametrize(
    ("file", "feeds", "error"),
    [
        ("runner.c", {}, ModelUnreadable),
        ("", {"0:z": X}, UserError),
        ("", {"0:x": np.zeros((1, 4), np.float32)}, UserError),
    ],
)
def test_what_the_c_runner_reports_is_raised_as_the_same_class(
    here: LocalShell, tmp_path: Path, file: str, feeds: dict[str, Array], error: type[Exception]
) -> None:
    job = job_of("linear.onnx", tmp_path, feeds=feeds or None)
    if file:
        path = PYTHON_RUNNER.parent / file
        job = msgspec.structs.replace(job, artifact=str(path), sha256=sha256_file(path))

    with pytest.raises(error, match="On 'here': "):
        measure(here, job, native_runner(here), timeout_s=60)

    assert leftovers(here) == []


def test_a_launch_leaves_nothing_but_the_files_it_may_need_again(here: LocalShell, linear_job: Job) -> None:
    measure(here, linear_job, PYTHON, timeout_s=60)

    assert leftovers(here) == []
    files = {linear_job.sha256, sha256_file(Path(linear_job.feeds)), sha256_file(PYTHON_RUNNER)}
    assert {path.name for path in (here.folder / "blobs").iterdir()} == files


def test_what_is_there_is_not_sent_again(here: LocalShell, linear_job: Job) -> None:
    measure(here, linear_job, PYTHON, timeout_s=60)
    here.commands.clear()

    measure(here, linear_job, PYTHON, timeout_s=60)

    assert not any("cat >>" in command for command in here.commands)
    assert len(here.commands) == 1


def test_an_upload_that_was_cut_goes_on_where_it_ended(here: LocalShell, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(3_000_000))
    digest = sha256_file(source)
    part = here.folder / "blobs" / f"{digest}.{sender()}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(source.read_bytes()[:2_000_000])
    inode = part.stat().st_ino

    ensure(here, {digest: source})

    blob = here.folder / "blobs" / digest
    assert blob.read_bytes() == source.read_bytes()
    assert blob.stat().st_ino == inode


def test_a_damaged_partial_file_is_replaced_at_once(here: LocalShell, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(100_000))
    digest = sha256_file(source)
    part = here.folder / "blobs" / f"{digest}.{sender()}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"another content")

    ensure(here, {digest: source})

    assert [path.name for path in part.parent.iterdir()] == [digest]
    assert (part.parent / digest).read_bytes() == source.read_bytes()


def test_an_upload_that_is_damaged_twice_is_removed_and_said(here: LocalShell, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(100_000))
    wrong = sha256_file(source)[::-1]

    with pytest.raises(DeviceError, match="arrived damaged"):
        ensure(here, {wrong: source})

    assert list((here.folder / "blobs").iterdir()) == []


def test_a_full_disk_says_so_and_the_next_attempt_succeeds(tiny_disk: Path, tmp_path: Path) -> None:
    shell = LocalShell(tiny_disk)
    filler = tiny_disk / "filler"
    filler.write_bytes(bytes(200_000))
    job = job_of("linear.onnx", tmp_path)
    big = tmp_path / "big"
    big.write_bytes(os.urandom(100_000))

    with pytest.raises(DiskFull, match="'here' ran out of disk space") as caught:
        ensure(shell, {sha256_file(big): big})

    assert caught.value.hint == "edgekit devices clean here"
    assert leftovers(shell) == []
    filler.unlink()
    ensure(shell, {sha256_file(big): big})
    assert measure(shell, job, PYTHON, timeout_s=60).values


def test_a_launch_that_takes_too_long_is_ended_and_the_next_attempt_succeeds(here: LocalShell, tmp_path: Path) -> None:
    job = msgspec.structs.replace(job_of("linear.onnx", tmp_path), time_limit_s=60, min_values=10**9, max_values=10**9)
    start = time.monotonic()

    with pytest.raises(DeviceUnavailable, match="did not end within 3 s"):
        measure(here, job, PYTHON, timeout_s=3)

    assert time.monotonic() - start < 20
    assert leftovers(here) == []
    assert not Path(job.outputs).exists()
    assert measure(here, job_of("linear.onnx", tmp_path), PYTHON, timeout_s=60).values


def test_a_killed_runner_says_so_and_the_next_attempt_succeeds(here: LocalShell, tmp_path: Path) -> None:
    with long_launch(here, tmp_path) as wait:
        os.kill(runner_pid(here), signal.SIGKILL)
        error = wait()

    assert isinstance(error, DeviceError)
    assert "killed by signal 9" in str(error)
    assert leftovers(here) == []
    assert measure(here, job_of("linear.onnx", tmp_path), PYTHON, timeout_s=60).values


def test_a_launch_ends_when_the_process_that_wanted_it_is_killed(here: LocalShell, tmp_path: Path) -> None:
    host = f"""
import sys
from pathlib import Path
import msgspec
from edgekit.devices.remote.launches import measure
from edgekit.devices.remote.runners import PythonRunner
from edgekit.runtime.portable import PYTHON_RUNNER
from tests.standins.jobs import job_of
from tests.standins.local_shell import LocalShell
job = job_of("linear.onnx", Path({str(tmp_path)!r}), time_limit_s=60, min_values=10**9)
job = msgspec.structs.replace(job, max_values=10**9)
measure(LocalShell(Path({str(here.home)!r})), job, PythonRunner(PYTHON_RUNNER), timeout_s=60)
"""
    process = subprocess.Popen([sys.executable, "-c", host], cwd=Path(__file__).parents[3])
    pid = runner_pid(here)

    process.kill()
    process.wait()

    assert gone_within(pid, 10)
    deadline = time.monotonic() + 10
    while leftovers(here) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert leftovers(here) == []


def test_a_device_without_the_engine_is_told_to_be_prepared(tmp_path: Path, linear_job: Job) -> None:
    python = tmp_path / "bin"
    python.mkdir()
    (python / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    (python / "python3").chmod(0o755)
    home = tmp_path / "bare"
    home.mkdir()

    with pytest.raises(DeviceError, match="'here' cannot run this: it has no 'numpy'") as caught:
        measure(LocalShell(home, python=python), linear_job, PYTHON, timeout_s=60)

    assert caught.value.hint == "edgekit devices prepare here"


def test_a_device_without_python_says_so(tmp_path: Path, here: LocalShell, linear_job: Job) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    for name in ("sh", "mkdir", "cat", "wc", "sha256sum", "mv", "rm", "timeout", "tail", "env"):
        (empty / name).symlink_to(f"/bin/{name}")
    shell = LocalShell(here.home, python=empty)
    shell._path = str(empty)

    with pytest.raises(DeviceError, match=r"program is missing on '.*': .*python3"):
        measure(shell, linear_job, PYTHON, timeout_s=60)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"options": {"provider": "cuda"}}, ProviderRefused),
        ({"backend": "litert"}, ModelUnreadable),
        ({"backend": "openvino"}, UserError),
    ],
)
def test_what_the_runner_reports_is_raised_as_the_same_class(
    here: LocalShell, linear_job: Job, change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error, match="On 'here': "):
        measure(here, msgspec.structs.replace(linear_job, **change), PYTHON, timeout_s=60)

    assert leftovers(here) == []


def test_a_program_that_does_not_end_is_no_answer_and_leaves_no_process(tmp_path: Path) -> None:
    names = tmp_path / "pids"

    with pytest.raises(DeviceUnavailable, match="No response from 'pi5' within 1 s") as caught:
        run_program("pi5", ["sh", "-c", f"sleep 60 & echo $$ $! > {names}; wait"], timeout_s=0.5 + 0.1)

    assert caught.value.hint == "edgekit devices check pi5"
    assert all(gone_within(int(pid), 5) for pid in names.read_text().split())
