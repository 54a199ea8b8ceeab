"""Memory and scheduling of this process."""

from __future__ import annotations

import re
from pathlib import Path

_PROC = Path("/proc/self")


def reset_peak(proc: Path = _PROC) -> bool:
    """Start the peak anew from the memory in use now; False where the system does not allow it."""
    try:
        (proc / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_memory_bytes(proc: Path = _PROC) -> int | None:
    """The most memory this process has held since `reset_peak`, or since it began; None where it cannot be read."""
    try:
        match = re.search(r"^VmHWM:\s+(\d+) kB", (proc / "status").read_text(), re.MULTILINE)
    except OSError:
        return _peak_of_usage()
    return int(match[1]) * 1024 if match else None


def involuntary_switches() -> int | None:
    """How often the scheduler took the processor away from this process; None where it does not say."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _peak_of_usage() -> int | None:
    """The peak where there is no /proc: macOS counts in bytes."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
