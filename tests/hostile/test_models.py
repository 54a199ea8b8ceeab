"""A model that crashes its backend, never ends or takes all memory costs a command its result, and nothing else."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from tests.cli.conftest import write_bundle
from tests.flows.onnx_files import dense
from tests.hostile.models import calls_itself, doubles, never_ends, never_opens

from edgekit.core.bundle import Bundle, write_manifest
from edgekit.core.samples import Samples
from edgekit.core.system.files import sha256_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; only Linux limits the memory of a process so"),
]

COMMANDS = (
    ("run", "net.tflite", "--input", "random:0"),
    ("profile", "net.tflite"),
    ("inspect", "net.tflite"),
    ("validate", "net.tflite", "--reference", "net.tflite"),
    ("compare", "net.tflite", "net.tflite"),
    ("tune", "net.tflite"),
    ("check",),
    ("init", "--force"),
)
LIMIT_GB = "0.5"


def edgekit(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgekit", *arguments]
    given = {**os.environ, **environment}
    return subprocess.run(
        command,
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_crash_of_the_backend_is_an_error_of_the_file(command: tuple[str, ...], tmp_path: Path) -> None:
    calls_itself(tmp_path / "net.tflite")
    (tmp_path / "edgekit.toml").write_text('[[check.models]]\npath = "net.tflite"\n', encoding="utf-8")

    done = edgekit(*command, "--json", folder=tmp_path)

    assert done.returncode == 5, done.stderr
    assert "The backend crashed (SIGSEGV). The model that was opened last is 'net.tflite'." in done.stderr
    assert json.loads(done.stdout)["error"]["kind"] == "ModelUnreadable"


@pytest.fixture(scope="module")
def half_crashing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle whose .tflite crashes its backend, and with a check of its accuracy."""
    folder = tmp_path_factory.mktemp("half")
    random = np.random.default_rng(0)
    images, labels = random.random((40, 1, 8, 8), dtype=np.float32), np.arange(40) % 3
    write_bundle(folder / "bundle", Samples({"x": images}, labels))
    file = calls_itself(folder / "bundle" / "tflite-fp32.tflite")
    with Bundle.open(folder / "bundle") as bundle:
        sound = bundle.artifacts[0]
        digest = sha256_file(file)
        crashing = structs.replace(
            sound, recipe="tflite-fp32", file=file.name, format="tflite", sha256=digest, size_bytes=file.stat().st_size
        )
        write_manifest(folder / "bundle", structs.replace(bundle.manifest, artifacts=(sound, crashing)))
    (folder / "edgekit.toml").write_text(
        '[check]\nlaunches = 5\ntime_limit_s = 0.01\n[[check.models]]\npath = "bundle"\n'
        'artifact = ["onnx-fp32", "tflite-fp32"]\nbudgets = ["accuracy >= 1 %"]\n'
    )
    return folder


@pytest.mark.parametrize("command", [("check",), ("validate", "bundle"), ("profile", "bundle", "--launches", "1")])
def test_a_crash_costs_only_the_measurement_of_its_artifact(command: tuple[str, ...], half_crashing: Path) -> None:
    done = edgekit(*command, "--report", "report.json", folder=half_crashing)

    assert done.returncode == 3, done.stderr
    assert "VERDICT: INCOMPLETE" in done.stdout
    assert ("--resume" in done.stderr) == (command[0] == "profile")
    report = json.loads((half_crashing / "report.json").read_text())
    (report,) = report.get("reports", [report])
    assert {one["artifact"] for one in report["parity"]} == {"onnx-fp32"}
    assert [one["artifact"] for one in report["missing"]] == ["tflite-fp32"]
    assert "The backend crashed (SIGSEGV)" in report["missing"][0]["reason"]


def test_tuning_leaves_out_what_crashes(half_crashing: Path) -> None:
    done = edgekit("tune", "bundle", "--time-limit", "1ms", "--json", folder=half_crashing)

    assert done.returncode == 0, done.stderr
    tuned = json.loads(done.stdout)
    assert tuned["chosen"]["artifact"] == "onnx-fp32"
    assert "'tflite-fp32' was excluded: The backend crashed (SIGSEGV)" in "".join(tuned["warnings"])


def test_a_model_that_takes_all_memory_is_refused_with_its_limit(tmp_path: Path) -> None:
    doubles(tmp_path / "net.onnx")

    done = edgekit("run", "net.onnx", "--input", "random:0", folder=tmp_path, EDGEKIT_MEMORY_GB=LIMIT_GB)

    assert done.returncode == 5, done.stderr
    assert "needs more memory than its limit of 0.5 GB" in done.stderr
    assert "EDGEKIT_MEMORY_GB=1" in done.stderr
    # The largest child so far, in KiB: the limit, and what Python and its packages take.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 3 << 20


def test_a_launch_has_the_limit_too_and_it_is_said(tmp_path: Path) -> None:
    doubles(tmp_path / "net.onnx")

    done = edgekit("profile", "net.onnx", "--launches", "2", folder=tmp_path, EDGEKIT_MEMORY_GB=LIMIT_GB)

    assert done.returncode == 5, done.stderr
    assert "needs more memory than its limit of 0.5 GB" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_group", [False, True], ids=["to the command", "from the terminal"])
def test_an_interrupt_ends_a_model_that_never_ends(sent: signal.Signals, to_group: bool, tmp_path: Path) -> None:
    never_ends(tmp_path / "net.onnx")
    process = started(tmp_path)
    wait_for_native_code(process)

    (os.killpg if to_group else os.kill)(process.pid, sent)
    begun = time.monotonic()
    _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (130, "Interrupted.\n")
    # Without it, only SIGKILL ended the command; within 1 s on a machine that is not busy.
    assert time.monotonic() - begun < 15


def test_an_interrupt_ends_a_model_that_never_opens_and_a_kill_leaves_no_process(tmp_path: Path) -> None:
    never_opens(tmp_path / "net.onnx")
    process = started(tmp_path)
    child = wait_for_native_code(process)

    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 130
    assert not Path(f"/proc/{child}").exists()
    assert process.stderr is not None
    process.stderr.close()
    killed = started(tmp_path)
    child = wait_for_native_code(killed)
    killed.kill()
    killed.communicate(timeout=60)
    assert ends(child)


@pytest.mark.parametrize(
    "command", ["run net.onnx --input random:0", "profile net.onnx --launches 1", "inspect net.onnx"]
)
def test_a_model_that_never_opens_is_refused_with_its_limit(command: str, tmp_path: Path) -> None:
    never_opens(tmp_path / "net.onnx")

    done = edgekit(*command.split(), folder=tmp_path, EDGEKIT_OPEN_S="3")

    assert done.returncode == 5, done.stderr
    assert "Error: The backend did not open 'net.onnx' within 3 s.\nHint: export EDGEKIT_OPEN_S=6" in done.stderr


def test_a_sound_model_runs_as_before(tmp_path: Path) -> None:
    dense(tmp_path / "net.onnx")

    done = edgekit("run", "net.onnx", "--input", "random:0", "--json", folder=tmp_path)

    assert (done.returncode, done.stderr.count("Error")) == (0, 0)
    assert json.loads(done.stdout)["provider"] == "cpu"


def started(folder: Path) -> subprocess.Popen[str]:
    """`edgekit run` on a model, alone in its session."""
    command = [sys.executable, "-m", "edgekit", "run", "net.onnx", "--input", "random:0", "--quiet"]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_native_code(process: subprocess.Popen[str]) -> int:
    """Wait until the child of a command has loaded ONNX Runtime and has been busy since; its process id."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        if children and "onnxruntime_pybind" in Path(f"/proc/{children[0]}/maps").read_text(encoding="utf-8"):
            start = ran_s(children[0])
            while ran_s(children[0]) < start + 3:
                time.sleep(0.1)
            return int(children[0])
        time.sleep(0.1)
    raise AssertionError("the command did not load its backend")


def ran_s(pid: str) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def ends(pid: int) -> bool:
    """Whether a process is gone, or only waits for its exit code to be read, within a while."""
    for _ in range(200):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text(encoding="ascii").rpartition(")")[2].split()[0] in "ZX":
            return True
        time.sleep(0.1)
    return False
