"""Promises of core/system/native: limits and notes are those of commands, and a library has neither."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.core.system.native import memory_limit, notes

LIMITED = """
import resource, subprocess, sys
from pathlib import Path
from edgekit.core.system import processes
from edgekit.core.system.native import memory_limit
memory_limit.start(lambda: 0.3)
memory_limit.apply(Path("net.onnx"))
try:
    bytes(1 << 30)
except MemoryError as err:
    print(memory_limit.exceeded(err).message)
read = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
print(int(processes.run([sys.executable, "-c", read + "; input()"], timeout_s=60).out) == resource.RLIM_INFINITY)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process so")
def test_a_process_takes_no_more_than_its_limit_and_what_it_starts_has_none() -> None:
    program = LIMITED.replace("; input()", "")

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout.splitlines()[0] == "The model needs more memory than its limit of 0.3 GB.", done.stderr


def test_a_library_has_no_limit_and_tells_nobody(tmp_path: Path) -> None:
    with notes.model_opening(tmp_path / "net.onnx"):
        pass

    assert (memory_limit.described(), notes.is_watched()) == ("", False)
    assert memory_limit.exceeded(MemoryError()) is None


@pytest.mark.parametrize(("text", "limit"), [("", 0.0), ("2.5", 2.5), ("much", 0.0)])
def test_a_launch_reads_the_limit_of_its_parent(text: str, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory_limit.VARIABLE, text)

    assert memory_limit.from_environment() == limit


def test_notes_name_the_model_and_a_signal_that_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(notes, "_descriptor", None)
    notes.start(writer)

    with notes.model_opening(Path("two\nlines.onnx")):
        pass
    notes.heard()

    first, second, rest = os.read(reader, 4096).split(b"\n")
    os.close(reader)
    os.close(writer)
    assert first == b"+two?lines.onnx"
    assert second.startswith(b"!")
    assert float(second[1:]) > 0
    assert rest == b""
