"""NVIDIA GPUs of this machine, as their driver's own program tells them."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from edgekit.core.facts import Gpu

_QUERY: Final = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,temperature.gpu"
_TIMEOUT_S: Final = 20


def read_gpus() -> tuple[Gpu, ...]:
    """Every GPU that `nvidia-smi` lists; none where there is no such program, or it finds no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    rows = [line.split(", ") for line in done.stdout.splitlines()] if done.returncode == 0 else []
    return tuple(_gpu(row) for row in rows if len(row) == _QUERY.count(",") + 1)


def _gpu(row: list[str]) -> Gpu:
    name, driver, mebibytes, clock, most, temperature = (field.strip() for field in row)
    memory = _number(mebibytes)
    return Gpu(
        name,
        driver,
        memory_bytes=None if memory is None else int(memory) << 20,
        clock_hz=_scaled(clock, 1e6),
        max_clock_hz=_scaled(most, 1e6),
        temperature_c=_number(temperature),
    )


def _scaled(text: str, factor: float) -> float | None:
    number = _number(text)
    return None if number is None else number * factor


def _number(text: str) -> float | None:
    """The number; None for `[N/A]` and the like."""
    try:
        return float(text)
    except ValueError:
        return None
