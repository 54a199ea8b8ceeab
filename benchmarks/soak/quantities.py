"""What must not grow: files, processes, and the memory and open files of processes that live long."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from benchmarks.soak.place import Place

from edgekit.core.system.durable.owners import this_process

# A line is added by each `check`, on purpose.
HISTORY: Final = "edgekit-history.jsonl"
SETTLES_S: Final = 25.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def quantities(place: Place) -> dict[str, float]:
    """Every quantity by name: files and bytes by folder; memory, open files and threads by process."""
    found: dict[str, float] = {}
    for name, folder in place.counted().items():
        found[f"{name}: files"], found[f"{name}: bytes"] = _contents(folder)
    for name, pid in place.stationed().items():
        found |= {f"{name}: {what}": value for what, value in _process(pid).items()}
    found["stray files in shared folders"] = _strays(place.folder)
    return found


def settled(place: Place, usual: int) -> tuple[int, list[str]]:
    """How many processes are left of the last command, and their command lines; waits until they have ended."""
    deadline = time.monotonic() + SETTLES_S
    while len(lines := processes()) > usual and time.monotonic() < deadline:
        time.sleep(0.25)
    return len(lines), lines


def processes() -> list[str]:
    """The command line of each process in this namespace; one that ended and was not waited for is `(name)`."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            lines.append(line or f"({(entry / 'comm').read_text().strip()})")
    return sorted(lines)


def used_s() -> float:
    """Processor time of all processes of this namespace, also of ended ones, in seconds."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            total += sum(int(one) for one in (entry / "stat").read_text().rpartition(")")[2].split()[11:15])
    return total / _TICKS


def yield_to_others(nice: int) -> None:
    """Let the other sessions of this machine have the processor first; 19 is the least of it, 0 an equal share."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            (entry / "autogroup").write_text(str(nice))


def _contents(folder: Path) -> tuple[int, int]:
    files = size = 0
    for root, folders, names in os.walk(folder):
        files += len(names) + len(folders)
        for name in names:
            if name != HISTORY:
                with contextlib.suppress(OSError):
                    size += os.lstat(os.path.join(root, name)).st_size
    return files, size


def _process(pid: int) -> dict[str, float]:
    """Memory in MiB, open files and threads; nothing for one that has ended.

    Memory is what is its own alone: the system takes pages of files back when others need memory.
    """
    with contextlib.suppress(OSError):
        own = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("RssAnon"))
        open_files = len(os.listdir(f"/proc/{pid}/fd"))
        threads = len(os.listdir(f"/proc/{pid}/task"))
        return {"MiB": round(int(own.split()[1]) / 1024, 2), "open files": open_files, "threads": threads}
    return {}


def _strays(own: Path) -> int:
    """What processes of this namespace left in folders that all users share, next to their own TMPDIR."""
    place = this_process().partition("-")[0]
    shared = (folder for folder in map(Path, ("/tmp", "/dev/shm", "/var/tmp")) if folder.is_dir())
    return sum(f"{place}-" in path.name for folder in shared for path in folder.iterdir() if path != own)
