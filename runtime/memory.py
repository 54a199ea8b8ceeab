"""Memory and scheduling of this process."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc/self")
# Parameters of glibc's mallopt (malloc.h), and the values at which its own adjustment begins and ends.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LEAST, _MOST = 128 << 10, 32 << 20


@contextlib.contextmanager
def freed_at_once() -> Iterator[None]:
    """Large blocks of memory go back to the system as soon as they are freed; afterwards they are kept as usual.

    glibc begins so, and keeps blocks of a size that was freed once. How many copies of the weights it still has at the
    peak of loading then depends on addresses, down to the length of the file's path, and not on the model. Does nothing
    with other allocators.
    """
    _adjust(_LEAST, _LEAST)
    try:
        yield
    finally:
        # Where glibc's adjustment ends at the latest, so that calls reuse their blocks.
        _adjust(_MOST, 2 * _MOST)


def _adjust(mmap: int, trim: int) -> None:
    import ctypes

    # Only glibc has mallopt; a system without it raises either of these.
    with contextlib.suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, mmap)
        library.mallopt(_TRIM_THRESHOLD, trim)


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
