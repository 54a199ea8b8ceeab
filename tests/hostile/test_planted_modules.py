"""Python files in the current folder run for sources that are Python code, and for nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.flows import onnx_files

DATA = Path(__file__).parents[1] / "runtime" / "data"
# What installed packages import where it exists: on other systems, or with other packages.
OPTIONAL = ("msvcrt", "ai_edge_litert_sdk_intel", "winreg", "_winapi", "colorama", "tflite_runtime", "cupy", "pandas")
PLANTED = "import pathlib\npathlib.Path(__file__ + '.ran').touch()\nraise ImportError\n"


def edgekit(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgekit", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_a_data_file_is_exported_without_python_of_the_current_folder(tmp_path: Path) -> None:
    for name in OPTIONAL:
        (tmp_path / f"{name}.py").write_text(PLANTED)
    (tmp_path / "linear.tflite").write_bytes((DATA / "linear.tflite").read_bytes())
    onnx_files.dense(tmp_path / "net.onnx")

    for source, recipe in (("linear.tflite", "tflite-fp32"), ("net.onnx", "onnx-fp32")):
        done = edgekit(tmp_path, "export", source, "--to", recipe, "--out", f"out-{recipe}")
        assert done.returncode == 0, done.stderr
    ran = edgekit(tmp_path, "doctor")

    assert ran.returncode in (0, 3), ran.stderr
    assert [path.name for path in tmp_path.glob("*.ran")] == []


def test_a_package_that_is_installed_does_not_come_from_the_current_folder(tmp_path: Path) -> None:
    # They were imported before the folder was left out.
    for name in ("click", "msgspec", "pathlib", "_winapi"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)")

    assert edgekit(tmp_path, "--version").returncode == 0
