"""A worker process answers, and every way in which it can fail ends in one clear error."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from edgekit.core.errors import ConversionFailed, MissingExtra, UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export import messages
from edgekit.export.messages import ModuleRef
from edgekit.export.workers.worker import Worker

Use = Callable[[str], str]
SPEC = ModelSpec("net", "other", ())


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker("onnx", timeout_s=30) as one:
        yield one


def job_for(location: str, folder: Path) -> messages.Quantize:
    source = folder / "float.onnx"
    source.write_bytes(b"weights")
    return messages.Quantize(SPEC, location, str(source), "onnx-int8-dynamic", "", "", str(folder / "int8.onnx"))


def has_ended(pid: int) -> bool:
    """Waits up to 10 s for a process to end; a zombie has ended."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_one_process_answers_one_job_after_the_other(worker: Worker, fake_exporters: Use, tmp_path: Path) -> None:
    job = job_for(fake_exporters("Plain"), tmp_path)

    first, second = (worker.ask(job, "making a copy").converted for _ in range(2))

    assert first is not None
    assert second is not None
    assert (first.options["calls"], second.options["calls"]) == (1, 2)
    assert first.options["pid"] == second.options["pid"] != os.getpid()
    assert (tmp_path / "int8.onnx").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("exporter", "reason"),
    [
        ("Raising", "ValueError: operator 'Frobnicate' is not supported"),
        ("Leaving", "it exited with code 0 without a reply"),
        ("Crashing", "it crashed (SIGABRT)"),
        ("Killed", "it was killed (signal 9), probably because it used too much memory"),
        ("Babbling", "its reply is invalid: b'Segmentation fault in pass 4'"),
    ],
)
def test_a_failure_names_its_reason_and_keeps_what_was_printed(
    exporter: str, reason: str, worker: Worker, fake_exporters: Use, tmp_path: Path
) -> None:
    job = job_for(fake_exporters(exporter), tmp_path)

    with pytest.raises(ConversionFailed) as caught:
        worker.ask(job, "making 'onnx-int8-dynamic'")

    assert caught.value.message.startswith(f"The onnx converter failed while making 'onnx-int8-dynamic': {reason}.")
    assert "  | F0000 no kernel for 'Frobnicate'" in caught.value.message
    assert caught.value.exit_code == 5


def test_a_converter_that_hangs_is_killed_with_all_it_started(
    fake_exporters: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD_PID", str(tmp_path / "pid"))
    job = job_for(fake_exporters("Sleeping"), tmp_path)

    with Worker("onnx", timeout_s=3) as worker, pytest.raises(ConversionFailed, match="no reply within 3 s"):
        worker.ask(job, "making 'onnx-int8-dynamic'")

    assert has_ended(int((tmp_path / "pid").read_text()))


def test_after_a_crash_the_next_job_has_a_fresh_process(worker: Worker, fake_exporters: Use, tmp_path: Path) -> None:
    with pytest.raises(ConversionFailed):
        worker.ask(job_for(fake_exporters("Killed"), tmp_path), "making a copy")

    converted = worker.ask(job_for(fake_exporters("Plain"), tmp_path), "making a copy").converted

    assert converted is not None
    assert converted.options["calls"] == 1


def test_what_one_job_printed_is_not_shown_for_the_next(worker: Worker, fake_exporters: Use, tmp_path: Path) -> None:
    with pytest.raises(ConversionFailed, match="Frobnicate"):
        worker.ask(job_for(fake_exporters("Raising"), tmp_path), "making a copy")

    with pytest.raises(ConversionFailed) as caught:
        worker.ask(job_for("fake_exporters:NoSuchThing", tmp_path), "making a copy")

    assert "The exporter 'fake_exporters:NoSuchThing' cannot be imported" in caught.value.message
    assert "Frobnicate" not in caught.value.message


def test_an_error_of_ours_keeps_its_class_and_hint(worker: Worker) -> None:
    missing = messages.Load(ModuleRef("no/such/file.py:Net"))

    with pytest.raises(UserError, match=r"There is no file 'no/such/file\.py'\.") as caught:
        worker.ask(missing, "loading the module")

    assert caught.value.exit_code == 2


def test_a_missing_package_is_named_with_its_extra(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    with pytest.raises(MissingExtra) as caught:
        worker.ask(messages.Load(ModuleRef("net.py:Net")), "loading the module")

    assert caught.value.hint == 'pip install "torch>=2.10"'


def test_a_worker_dies_with_its_parent(fake_exporters: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHILD_PID", str(tmp_path / "pid"))
    location = fake_exporters("Sleeping")
    parent = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_worker import job_for
        from edgekit.export.workers.worker import Worker
        worker = Worker("onnx", timeout_s=60)
        worker.send(job_for({location!r}, Path({str(tmp_path)!r})))
        while not Path({str(tmp_path / "pid")!r}).exists():
            time.sleep(0.05)
        print(worker.pid, flush=True)
        time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    child = int((tmp_path / "pid").read_text())

    process.kill()
    process.communicate()

    assert has_ended(worker)
    assert has_ended(child)


def test_a_folder_of_the_user_hides_no_package(
    worker: Worker, fake_exporters: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise RuntimeError('this is not the standard library')\n")
    monkeypatch.chdir(tmp_path)

    assert worker.ask(job_for(fake_exporters("Plain"), tmp_path), "making a copy").converted is not None


def test_a_stopped_worker_takes_no_job(worker: Worker, fake_exporters: Use, tmp_path: Path) -> None:
    worker.stop()

    with pytest.raises(ConversionFailed, match="was stopped"):
        worker.send(job_for(fake_exporters("Plain"), tmp_path))
