"""NVIDIA GPUs of this machine, as `nvidia-smi` lists them."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from edgekit.core.facts import Gpu
from edgekit.core.machine import GPU_QUERY, gpus

_TIMEOUT_S: Final = 20


def read_gpus() -> tuple[Gpu, ...]:
    """Every GPU that `nvidia-smi` lists; none if it is not installed or finds no driver."""
    name, *arguments = GPU_QUERY.split()
    program = shutil.which(name)
    if program is None:
        return ()
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return gpus(done.stdout) if done.returncode == 0 else ()
