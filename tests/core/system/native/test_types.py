"""Threads that meet a type of msgspec at once."""

from __future__ import annotations

import subprocess
import sys


def test_threads_may_meet_a_type_together() -> None:
    """In a process of its own, which msgspec would crash."""
    script = """
import sys, threading
import msgspec
from edgekit.core.system.native.types import prepared

sys.setswitchinterval(1e-6)
for _ in range(100):
    inner = msgspec.defstruct("Inner", [(f"f{place}", "int | None", None) for place in range(20)])
    kind = msgspec.defstruct("Kind", [("a", inner), *((f"g{place}", "tuple[int, ...]", ()) for place in range(20))])
    start = threading.Barrier(8)

    def meet():
        start.wait()
        msgspec.json.decode(b'{"a": {}}', type=prepared(kind))

    threads = [threading.Thread(target=meet) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
print("met")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "met\n")
