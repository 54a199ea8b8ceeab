"""What a device with a shell reports about itself, gathered by one script; `core/machine.py` parses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from edgekit.core.machine import COMMANDS, FILES, GPU_QUERY, STATE_COMMANDS, STATE_FILES
from edgekit.devices.remote.shell import Shell, succeeded

# The shell reads files by itself: a program for each would take a second on a small board.
_SHOW: Final = """show() { none=1; for file; do
  [ -f "$file" ] || continue
  none=0
  echo "@@${file#PREFIX}"
  while IFS= read -r line || [ -n "$line" ]; do echo "$line"; done <"$file"
done; return $none; } 2>/dev/null"""
_REST: Final = """echo @@uname; uname -s; uname -m
echo @@bits; getconf LONG_BIT 2>/dev/null || case $(od -An -tu1 -j4 -N1 /bin/sh 2>/dev/null) in
  *1*) echo 32;; *2*) echo 64;; esac
echo @@cores; (unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc) 2>/dev/null
echo @@qemu; env | grep ^QEMU_
echo @@python; command -v python3
echo @@site; ls "ROOT/site" 2>/dev/null
echo @@native; (cd "ROOT" && ls native/* site/onnxruntime/capi/libonnxruntime.so.* 2>/dev/null)
echo @@end"""
# A driver that fails has no GPUs.
_GPUS: Final = (
    f"if command -v nvidia-smi >/dev/null 2>&1 && gpus=$({GPU_QUERY} 2>/dev/null); then",
    '  echo @@nvidia-smi; echo "$gpus"; fi',
)


def read_texts(shell: Shell) -> dict[str, str]:
    """What the device reports, as `core/machine.py` reads it; errors as in `Shell.run`."""
    return texts_of(succeeded(shell, shell.run(script(shell.root)), "reading its facts").text)


def script(root: str, *, prefix: str = "") -> str:
    """The script that gathers everything.

    Args:
        root: edgekit's folder on the device.
        prefix: A folder that contains the /proc and /sys to read; tests pass their own.
    """
    show = _SHOW.replace("PREFIX", prefix)
    return "\n".join([show, *_files(FILES, prefix), *_answers(COMMANDS), *_GPUS, _REST.replace("ROOT", root)])


def state_function(*, prefix: str = "") -> str:
    """The shell function `state`, which gathers what changes from moment to moment, as `script` gathers it."""
    lines = [*_files(STATE_FILES, prefix), *_answers(STATE_COMMANDS)]
    return "\n".join([_SHOW.replace("PREFIX", prefix), "state() {", *lines, "echo @@end; }"])


def texts_of(printed: str) -> dict[str, str]:
    """The sections of the script's output by name."""
    found: dict[str, list[str]] = {}
    for line in printed.replace("\0", "").splitlines():
        if line.startswith("@@"):
            found[line[2:]] = []
        elif found:
            found[next(reversed(found))].append(line.strip())
    return {name: "\n".join(lines) for name, lines in found.items()}


def _files(rows: Sequence[Sequence[str]], prefix: str) -> Iterator[str]:
    for patterns in rows:
        yield " || ".join(f"show {prefix}{pattern}" for pattern in patterns)


def _answers(questions: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A question is left out where the device lacks its program."""
    for name, commands in questions.items():
        yield f"if command -v {commands[0].split()[0]} >/dev/null 2>&1; then echo @@{name}"
        yield f"  {{ {'; '.join(commands)}; }} 2>&1; fi"
