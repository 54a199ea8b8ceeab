"""Facts about this machine at the time of a measurement; `python -m edgekit.runtime.facts` prints them as JSON."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core import machine as machines
from edgekit.core.facts import Facts
from edgekit.runtime.gpu import read_gpus

_THIS: Final = Path("/")
_TIMEOUT_S: Final = 5


def read_facts(root: Path = _THIS, *, machine: str | None = None, environ: Mapping[str, str] | None = None) -> Facts:
    """The current facts about this machine.

    Args:
        root: Where /proc, /sys and /usr/bin are; tests pass their own folder.
        machine: Name of the architecture; by default this machine's.
        environ: The environment; by default this process's.
    """
    return machines.facts(read_texts(root, machine=machine, environ=environ))


def read_texts(
    root: Path = _THIS, *, machine: str | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What this machine reports about itself, as `core/machine.py` reads it; arguments as in `read_facts`."""
    texts = dict(_files(root)) | dict(_answers(root))
    texts["uname"] = f"{platform.system()}\n{machine or platform.machine()}"
    texts["bits"] = "64" if sys.maxsize > 2**32 else "32"
    texts["qemu"] = "\n".join(name for name in (os.environ if environ is None else environ) if name.startswith("QEMU_"))
    texts["site"] = "\n".join(_packages())
    if root == _THIS:
        texts["processor"] = platform.processor()
        texts["cores"] = str(_usable_cores() or "")
    return texts


def _files(root: Path) -> Iterator[tuple[str, str]]:
    for patterns in machines.FILES:
        found = (sorted(root.glob(pattern[1:])) for pattern in patterns)
        for file in next((files for files in found if files), []):
            yield f"/{file.relative_to(root).as_posix()}", _text(file)


def _answers(root: Path) -> Iterator[tuple[str, str]]:
    for name, commands in machines.COMMANDS.items():
        answers = [answer for command in commands if (answer := _answer(root, command)) is not None]
        if answers:
            yield name, "\n".join(answers)


def _answer(root: Path, command: str) -> str | None:
    """What a command prints; None where this machine does not have the program."""
    name, *arguments = command.split()
    program = shutil.which(name) if root == _THIS else shutil.which(name, path=str(root / "usr/bin"))
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return f"{type(err).__name__}: {err}"
    return done.stdout


def _usable_cores() -> int | None:
    """The cores that this process may use: fewer than the machine has in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _packages() -> Iterator[str]:
    from importlib.metadata import PackageNotFoundError, version

    for name in machines.ENGINES:
        try:
            yield f"{name.replace('-', '_')}-{version(name)}.dist-info"
        except PackageNotFoundError:
            continue


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").replace("\0", "")
    except OSError:
        return ""


def main() -> int:
    """Print the facts about this machine as one line of JSON."""
    facts = msgspec.structs.replace(read_facts(), gpus=read_gpus())
    sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
