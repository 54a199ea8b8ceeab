"""The C runners that ship are what their source gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.standins.cache import Missing, built, required

from edgekit.core.system.files import sha256_file
from edgekit.runtime.portable import C_RUNNERS, FOLDER

ZIG = "ziglang==0.17.0"
MAX_BYTES = 20_000


def install_zig(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), ZIG]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"pip could not install {ZIG}: {done.stderr.strip()[-200:]}")


@pytest.mark.slow
def test_building_the_c_runners_again_gives_the_same_bytes(tmp_path: Path) -> None:
    with required():
        zig = built("ziglang-0.17.0", install_zig)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={zig} exec {sys.executable} "$@"\n')
    python.chmod(0o755)

    # Caches of its own: the compiler would give back what it built before.
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "global"), "ZIG_LOCAL_CACHE_DIR": str(tmp_path / "local")}
    command = [str(FOLDER / "build.sh"), str(python), str(tmp_path / "bin")]
    subprocess.run(command, check=True, env=os.environ | caches)

    for machine, shipped in C_RUNNERS.items():
        assert sha256_file(tmp_path / "bin" / f"runner-{machine}") == sha256_file(shipped)


@pytest.mark.parametrize("machine", list(C_RUNNERS))
def test_a_c_runner_is_small_and_for_its_architecture(machine: str) -> None:
    program = C_RUNNERS[machine].read_bytes()

    assert len(program) < MAX_BYTES
    assert program[:4] == b"\x7fELF"
    assert int.from_bytes(program[18:20], "little") == {"aarch64": 183, "x86_64": 62}[machine]
