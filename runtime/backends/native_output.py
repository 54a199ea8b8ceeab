"""File descriptors 1 and 2, which libraries write to directly, bypassing Python."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

_lock = threading.Lock()


class Captured:
    """What was written while the block ran; empty until the block has ended."""

    text = ""


@contextlib.contextmanager
def captured_stderr(*, repeats: bool = True) -> Iterator[Captured]:
    """Keep what the whole process writes to file descriptor 2 while the block runs.

    One block at a time; others wait. If the block raises no error, everything except `INFO:` lines is written
    afterwards, so that output of other threads is not lost; not with `repeats` off.
    """
    captured = Captured()
    with _lock, tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield captured
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            captured.text = file.read().decode(errors="replace")
    lines = [line for line in captured.text.splitlines() if line and not line.startswith("INFO:")]
    if lines and repeats:
        os.write(2, "".join(f"{line}\n" for line in lines).encode())


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[int]:
    """Redirect file descriptor 1 to 2 while the block runs; returns a descriptor of the real standard output."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield saved
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
