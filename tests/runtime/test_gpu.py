"""What the NVIDIA driver's program tells, and what it may not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.facts import Gpu
from edgekit.runtime.gpu import read_gpus


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A program `nvidia-smi` that does `body`, alone on the path beside the shell's own programs."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_every_gpu_is_told_with_clock_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "NVIDIA A, 580.65, 143771, 345, 1980, 31\\nNVIDIA B, 580.65, [N/A], [N/A], [N/A], 40"
    install(tmp_path, monkeypatch, f'printf "{rows}\\n"')

    assert read_gpus() == (
        Gpu("NVIDIA A", "580.65", 143771 << 20, 345e6, 1980e6, 31.0),
        Gpu("NVIDIA B", "580.65", None, None, None, 40.0),
    )


@pytest.mark.parametrize("body", ["echo NVIDIA-SMI has failed; exit 9", "echo something else", "exit 0"])
def test_a_driver_that_does_not_answer_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    install(tmp_path, monkeypatch, body)

    assert read_gpus() == ()


def test_a_machine_without_the_program_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert read_gpus() == ()
