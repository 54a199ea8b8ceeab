"""What a device with a shell reports about itself, gathered by one script; `core/machine.py` parses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgekit.core.machine import COMMANDS, FILES, GPU_QUERY
from edgekit.devices.remote.shell import Shell, succeeded

# The shell reads files by itself: a program for each would take a second on a small board.
_SHOW: Final = """show() { none=1; for file; do
  [ -f "$file" ] || continue
  none=0
  echo "@@${file#PREFIX}"
  while IFS= read -r line || [ -n "$line" ]; do echo "$line"; done <"$file"
done; return $none; } 2>/dev/null"""
_REST: Final = """echo @@uname; uname -s; uname -m
echo @@bits; getconf LONG_BIT 2>/dev/null
echo @@cores; (unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc) 2>/dev/null
echo @@qemu; env | grep ^QEMU_
echo @@site; ls "ROOT/site" 2>/dev/null
echo @@native; (cd "ROOT" && ls native/* site/onnxruntime/capi/libonnxruntime.so.* 2>/dev/null)
echo @@end"""


def read_texts(shell: Shell) -> dict[str, str]:
    """What the device reports, as `core/machine.py` reads it; errors as in `Shell.run`."""
    return texts_of(succeeded(shell, shell.run(script(shell.root)), "reading its facts").text)


def script(root: str, *, prefix: str = "") -> str:
    """The script that gathers everything.

    Args:
        root: edgekit's folder on the device.
        prefix: A folder that contains the /proc and /sys to read; tests pass their own.
    """
    lines = [_SHOW.replace("PREFIX", prefix), *_files(prefix), *_answers(), _REST.replace("ROOT", root)]
    return "\n".join(lines)


def texts_of(printed: str) -> dict[str, str]:
    """The sections of the script's output by name."""
    found: dict[str, list[str]] = {}
    for line in printed.replace("\0", "").splitlines():
        if line.startswith("@@"):
            found[line[2:]] = []
        elif found:
            found[next(reversed(found))].append(line.strip())
    return {name: "\n".join(lines) for name, lines in found.items()}


def _files(prefix: str) -> Iterator[str]:
    for patterns in FILES:
        yield " || ".join(f"show {prefix}{pattern}" for pattern in patterns)


def _answers() -> Iterator[str]:
    """A question is left out where the device lacks its program; a driver that fails has no GPUs."""
    for name, commands in COMMANDS.items():
        yield f"if command -v {commands[0].split()[0]} >/dev/null 2>&1; then echo @@{name}"
        yield f"  {{ {'; '.join(commands)}; }} 2>&1; fi"
    yield f"if command -v nvidia-smi >/dev/null 2>&1 && gpus=$({GPU_QUERY} 2>/dev/null); then"
    yield '  echo @@nvidia-smi; echo "$gpus"; fi'
