from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgekit.core.reports.setup.doctor import DoctorReport, Finding, State
from edgekit.core.system.installation import system_install
from edgekit.core.system.settings import Settings
from edgekit.flows.doctor import ENGINES, Machine, diagnose, probe_module

GOOD = {"numpy": "2.4.6", "onnxruntime": "1.31.1", "torch": "2.13.0"}
PROVIDERS = ["CPUExecutionProvider"]


def machine(tmp_path: Path, packages: Mapping[str, str] = GOOD, **facts: Any) -> Machine:
    """A healthy machine with these packages, but for `facts`."""
    defaults: dict[str, Any] = {
        "settings": Settings(cache=str(tmp_path / "cache")),
        "root": tmp_path,
        "pointer_bits": 64,
        "cores": 4,
        "read_packages": lambda: packages,
        "read_others": lambda: (),
        "probe": lambda module, expression: PROVIDERS if module == "onnxruntime" else [],
        "which": lambda name: f"/usr/bin/{name}",
        "free_bytes": lambda path: 10**11,
    }
    return Machine(**{**defaults, **facts})


def found(diagnosis: DoctorReport, name: str) -> Finding:
    return next(one for one in diagnosis.findings if one.name == name)


def problems(diagnosis: DoctorReport) -> list[Finding]:
    return [one for one in diagnosis.findings if one.state is State.PROBLEM]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_healthy_machine_ends_in_zero(tmp_path: Path) -> None:
    diagnosis = diagnose(machine(tmp_path))

    assert (problems(diagnosis), diagnosis.exit_code) == ([], 0)
    assert found(diagnosis, "onnxruntime").text == "1.31.1 CPUExecutionProvider"
    assert platform.python_version() in found(diagnosis, "python").text


def test_what_killed_commands_left_is_removed_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    conversions = tmp_path / "cache" / "conversions"
    conversions.mkdir(parents=True)
    left = """
import os, signal, sys
from pathlib import Path
from edgekit.core.system.durable.owners import make_folder
from edgekit.core.system.files import new_folder
for folder in sys.argv[1:]:
    make_folder(folder=Path(folder))
with new_folder(Path(sys.argv[1]) / "out"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", left, str(tmp_path), str(conversions)], check=False)
    assert len(list(tmp_path.iterdir())) == 3
    assert diagnose(machine(tmp_path)).removed == ()

    diagnosis = diagnose(machine(tmp_path), clean=True)

    assert len(diagnosis.removed) == 3
    assert str(tmp_path / ".out.writing") in diagnosis.removed
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert not list(conversions.iterdir())


def test_this_machine_is_diagnosed_with_real_engines() -> None:
    diagnosis = diagnose()

    assert "CPUExecutionProvider" in found(diagnosis, "onnxruntime").text
    assert all(one.mend for one in diagnosis.findings if one.state is not State.OK)


def test_two_distributions_of_onnxruntime_are_a_problem(tmp_path: Path) -> None:
    both = {**GOOD, "onnxruntime-gpu": "1.31.1"}

    diagnosis = diagnose(machine(tmp_path, both, probe=lambda *_: ["CUDAExecutionProvider"]))

    (problem,) = problems(diagnosis)
    assert problem.text == "onnxruntime and onnxruntime-gpu overwrite each other's files"
    assert problem.mend == 'pip uninstall -y onnxruntime onnxruntime-gpu && pip install "onnxruntime-gpu>=1.20.1"'
    assert diagnosis.exit_code == 3


@pytest.mark.parametrize(
    ("scripts", "state", "said"),
    [
        ("edgekit = edgekit.cli:run", State.PROBLEM, "edgekit 0.1.1 is a package of another project (devices at sea)"),
        ("edgekit = edgekit.cli.main:main", State.WARNING, "edgekit 0.1.1 is this project under its earlier name"),
    ],
    ids=["foreign", "earlier"],
)
def test_another_distribution_called_edgekit_is_named_with_the_command_that_removes_it(
    scripts: str, state: State, said: str, tmp_path: Path
) -> None:
    record = tmp_path / "edgekit-0.1.1.dist-info"
    write(record / "METADATA", "Metadata-Version: 2.1\nName: edgekit\nVersion: 0.1.1\nSummary: devices at sea\n")
    write(record / "entry_points.txt", f"[console_scripts]\n{scripts}\n")

    done = subprocess.run(
        [sys.executable, "-m", "edgekit", "doctor", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )

    named = [one for one in json.loads(done.stdout)["findings"] if one["text"].startswith("edgekit 0.1.1")]
    assert [(one["name"], one["state"]) for one in named] == [("edgekit-onnx", state.value)]
    assert said in named[0]["text"]
    assert named[0]["mend"].startswith("pip uninstall -y edgekit edgekit-onnx && pip install ")
    assert (done.returncode == 3) >= (state is State.PROBLEM), done.stderr


def test_numpy_2_under_tflite_runtime_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems(diagnose(machine(tmp_path, {**GOOD, "tflite-runtime": "2.14.0"})))

    assert problem.text == "tflite-runtime 2.14.0 needs numpy 1, numpy 2.4.6 is installed"
    assert problem.mend == 'pip install "numpy<2"'


def test_numpy_1_under_tflite_runtime_is_none(tmp_path: Path) -> None:
    assert not problems(diagnose(machine(tmp_path, {"numpy": "1.26.4", "tflite-runtime": "2.14.0"})))


def test_without_any_engine_nothing_can_run(tmp_path: Path) -> None:
    (problem,) = problems(diagnose(machine(tmp_path, {"numpy": "2.4.6"})))

    assert problem.mend == 'pip install "onnxruntime>=1.20.1"'


def test_an_engine_that_does_not_import_is_a_problem(tmp_path: Path) -> None:
    diagnosis = diagnose(machine(tmp_path, probe=lambda *_: "ImportError: libm.so.6: version GLIBC_2.38 not found"))

    (problem,) = problems(diagnosis)
    assert problem.name == "onnxruntime"
    assert "GLIBC_2.38" in problem.text


def test_the_gpu_package_without_its_provider_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems(diagnose(machine(tmp_path, {"numpy": "2.4.6", "onnxruntime-gpu": "1.31.1"})))

    assert problem.name == "cuda"


def test_a_32_bit_userland_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems(diagnose(machine(tmp_path, pointer_bits=32)))

    assert problem.name == "userland"


def test_what_is_not_installed_names_the_command_and_is_no_problem(tmp_path: Path) -> None:
    diagnosis = diagnose(machine(tmp_path, which=lambda name: None))

    assert found(diagnosis, "litert-torch").mend == 'pip install "litert-torch==0.10.0"'
    assert found(diagnosis, "adb").mend == system_install("adb")
    assert diagnosis.exit_code == 0


@pytest.mark.parametrize(
    ("free_bytes", "state"),
    [(10**11, State.OK), (10**9, State.WARNING), (10**8, State.PROBLEM)],
)
def test_a_filling_disk_is_seen(tmp_path: Path, free_bytes: int, state: State) -> None:
    diagnosis = diagnose(machine(tmp_path, free_bytes=lambda path: free_bytes))

    assert found(diagnosis, "cache folder").state is state
    assert str(tmp_path / "cache") in found(diagnosis, "cache folder").text


@pytest.mark.parametrize(
    ("governors", "state"),
    [([], State.OK), (["performance"] * 2, State.OK), (["performance", "powersave"], State.WARNING)],
)
def test_a_governor_that_follows_the_load_is_warned_of(tmp_path: Path, governors: list[str], state: State) -> None:
    for number, governor in enumerate(governors):
        write(tmp_path / f"sys/devices/system/cpu/cpu{number}/cpufreq/scaling_governor", f"{governor}\n")

    assert found(diagnose(machine(tmp_path)), "governor").state is state


@pytest.mark.parametrize(("load", "state"), [("0.30", State.OK), ("3.20", State.WARNING)])
def test_a_busy_machine_is_warned_of(tmp_path: Path, load: str, state: State) -> None:
    write(tmp_path / "proc/loadavg", f"{load} 1.00 1.00 1/100 1\n")

    assert found(diagnose(machine(tmp_path)), "load").state is state


def test_a_broken_plug_in_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "other-1.0.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    write(info / "entry_points.txt", "[edgekit.backends]\nbroken = no_such_module:Backend\n")
    monkeypatch.syspath_prepend(tmp_path)
    from edgekit.runtime import backend

    fresh = type(backend.BACKENDS)("backend", backend.BACKENDS.table, group="edgekit.backends")
    monkeypatch.setattr(backend, "BACKENDS", fresh)

    warning = found(diagnose(machine(tmp_path)), "plug-in")

    assert warning.state is State.WARNING
    assert "no_such_module" in warning.text
    assert warning.mend == "pip uninstall other"


def test_allowed_telemetry_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")

    assert found(diagnose(machine(tmp_path)), "telemetry").state is State.WARNING


def test_a_probe_survives_what_an_import_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "fine_engine.py", "print('hello')\ndef names(): return ['a']")
    write(tmp_path / "torn_engine.py", "raise ImportError('torn')")
    write(tmp_path / "crashing_engine.py", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    answers = [probe_module(name, "names()") for name in ("fine_engine", "torn_engine", "crashing_engine")]

    assert answers == [["a"], "ImportError: torn", "it exited with code -11"]


def test_a_dotted_module_is_probed_by_its_own_name() -> None:
    assert probe_module("os.path", "[]") == []


def test_every_engine_has_a_probe() -> None:
    assert all(module and expression for module, expression in ENGINES.values())
