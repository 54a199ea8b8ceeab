"""Peak memory and scheduling."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.runtime.memory import involuntary_switches, peak_memory_bytes, reset_peak

PROGRAM = """
from edgekit.runtime.memory import peak_memory_bytes, reset_peak
big = bytearray(80_000_000)
high = peak_memory_bytes()
del big
assert reset_peak()
low = peak_memory_bytes()
again = bytearray(40_000_000)
print(high, low, peak_memory_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_the_peak_starts_anew_after_a_reset() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    high, low, after = map(int, done.stdout.split())

    assert high - low > 60_000_000
    assert 30_000_000 < after - low < 60_000_000


def test_the_peak_is_read_from_the_status_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmPeak:\t  999 kB\nVmHWM:\t   31234 kB\n")

    assert peak_memory_bytes(tmp_path) == 31234 * 1024


def test_without_proc_the_usage_of_the_process_is_taken(tmp_path: Path) -> None:
    assert peak_memory_bytes(tmp_path / "none") == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert not reset_peak(tmp_path / "none")


def test_switches_are_counted() -> None:
    before = involuntary_switches()

    assert before is not None
    assert (involuntary_switches() or 0) >= before


KEPT = """
import contextlib, ctypes, re, sys
from edgekit.runtime.memory import freed_at_once

library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

def block(size=8 << 20):
    place = library.malloc(size)
    ctypes.memset(place, 1, size)
    return place

with freed_at_once() if sys.argv[1] == "freed" else contextlib.nullcontext():
    library.free(block())
    before = resident()
    large, small = block(), block(1000)
    library.free(large)
    print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps large blocks that were freed")
def test_a_large_block_that_was_freed_is_no_memory_of_the_model() -> None:
    kept, freed = (
        int(subprocess.run([sys.executable, "-c", KEPT, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "freed")
    )

    assert kept > 7 << 20
    assert freed < 1 << 20
