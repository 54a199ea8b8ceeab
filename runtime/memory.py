"""Memory and scheduling of this process."""

from __future__ import annotations

import re
from pathlib import Path

_PROC = Path("/proc/self")


def reset_peak(proc: Path = _PROC) -> bool:
    """Reset the peak to the memory in use now; False if the system does not allow it."""
    try:
        (proc / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_memory_bytes(proc: Path = _PROC) -> int | None:
    """The most memory this process has used since `reset_peak`, or since it started; None if it cannot be read."""
    try:
        match = re.search(r"^VmHWM:\s+(\d+) kB", (proc / "status").read_text(), re.MULTILINE)
    except OSError:
        return _peak_of_usage()
    return int(match[1]) * 1024 if match else None


def involuntary_switches() -> int | None:
    """How often the scheduler preempted this process; None if the system does not report it."""
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
