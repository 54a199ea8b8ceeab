"""A build that is stopped, or runs out of room, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

STAGES = ("load", "export", "export and parity", "profile")


def start(arguments: list[str], folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgekit", *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return children


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip().endswith(word):
            return
    raise AssertionError(f"'{word}' was never said")


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_in_each_stage_leaves_no_file_and_no_process(stage: str, nets: Path, digit_samples: Path) -> None:
    folder = nets.parent
    arguments = [
        "build",
        f"{nets}:small",
        "--samples",
        str(digit_samples),
        "--out",
        "out",
        "--to",
        "onnx-fp32,tflite-fp32",
    ]
    process = start(arguments, folder)
    wait_for(process, stage)
    time.sleep(0.3)
    children = family(process)

    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert [path for path in folder.iterdir() if "out" in path.name] == []
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def test_a_full_disk_ends_in_its_own_error_and_leaves_nothing(tiny_disk: Path) -> None:
    process = start(["export", "digits", "--out", str(tiny_disk / "out")], tiny_disk.parent)

    _, errors = process.communicate(timeout=300)

    assert process.returncode == 3, errors
    assert "No space left" in errors
    assert "Hint: " in errors
    assert list(tiny_disk.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "package"),
    [("onnxruntime", "onnxruntime>=1.20.1"), ("torch", "torch>=2.10"), ("litert_torch", "litert-torch==0.10.0")],
)
def test_a_missing_extra_is_named_with_the_command(module: str, package: str, nets: Path, digit_samples: Path) -> None:
    # A module that fails to import like an absent one, in this process and in every worker.
    blocker = nets.parent / "blocked"
    blocker.mkdir()
    (blocker / f"{module}.py").write_text(
        f"raise ModuleNotFoundError(\"No module named '{module}'\", name='{module}')\n"
    )
    recipes = "tflite-fp32" if module == "litert_torch" else "onnx-fp32"
    arguments = ["export", f"{nets}:small", "--samples", str(digit_samples), "--out", "out", "--to", recipes]

    process = start(arguments, nets.parent, PYTHONPATH=str(blocker))
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 3, errors
    assert module in errors
    assert f'pip install "{package}"' in errors
    assert not (nets.parent / "out").exists()
