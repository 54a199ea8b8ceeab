"""Temporary files and folders whose names say which process made them, so that those of killed processes are removed.

A name ends with the owner and eight random letters, e.g. `edgekit-ek5b1f02c4-9d3e-1a2b-3c4d5e-x7k2m9qa`: the machine
and its namespace of processes, the boot, the process, and when that process started. What a process of another machine,
container or user may own is never removed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from edgekit.core.system.native import stops

_PROCESS: Final = re.compile(r"ek(?P<place>[0-9a-f]{8})-(?P<boot>[0-9a-f]{4})-(?P<pid>[0-9a-f]+)-(?P<start>[0-9a-f]+)")
_OWNED: Final = re.compile(rf"{_PROCESS.pattern}-\w{{8}}$")
# The number of the first namespace of processes of every Linux, which no container has.
_FIRST_NAMESPACE: Final = "pid:[4026531836]"
_ENDED_STATES: Final = ("Z", "X")
_LONGEST_NAME: Final = 255
_swept: Final[set[tuple[int, str]]] = set()


class Owner(Enum):
    """What is known of the process that a name belongs to."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "of another machine, container or user"


class Cleaned(NamedTuple):
    """What was removed, and what is left because its owner is unknown."""

    removed: tuple[Path, ...]
    unknown: tuple[Path, ...]


def temporary_folder(prefix: str = "edgekit-") -> tempfile.TemporaryDirectory[str]:
    """Like `tempfile.TemporaryDirectory`, owned by this process; the folders of killed processes are removed first."""
    return _Folder(prefix=_prefix(prefix, Path(tempfile.gettempdir())))


class _Folder(tempfile.TemporaryDirectory[str]):
    """No Ctrl-C leaves it half removed."""

    def cleanup(self) -> None:
        with stops.held():
            super().cleanup()


def make_folder(prefix: str = "edgekit-", folder: Path | None = None) -> Path:
    """A new folder in `folder` (that for temporary files), private to this user; the caller removes it."""
    parent = Path(tempfile.gettempdir()) if folder is None else folder
    return Path(tempfile.mkdtemp(prefix=_prefix(prefix, parent), dir=parent))


def staging_name(path: Path) -> Path:
    """A free name next to `path` for what becomes `path`; what killed processes left there is removed first."""
    name = os.fsencode(path.name)
    # The owner needs up to 60 bytes of a name. One that is too long itself fails here, and not after the work.
    start = os.fsdecode(name[: _LONGEST_NAME - 80]) if len(name) <= _LONGEST_NAME else path.name
    return path.parent / f"{_prefix(f'.{start}.', path.parent)}{os.urandom(4).hex()}"


def clean(folders: Iterable[Path]) -> Cleaned:
    """Remove what dead processes left directly in these folders, and list it."""
    removed, unknown = [], []
    for path in (path for folder in dict.fromkeys(folders) for path in _owned_in(folder)):
        owner = owner_of(path)
        if owner is Owner.DEAD:
            _remove(path)
        if owner is Owner.UNKNOWN or (owner is Owner.DEAD and os.path.lexists(path)):
            unknown.append(path)
        elif owner is Owner.DEAD:
            removed.append(path)
    return Cleaned(tuple(removed), tuple(unknown))


def owner_of(path: Path) -> Owner:
    """Whether the process in the name of `path` is alive, dead, or cannot be known from here."""
    found = _OWNED.search(path.name)
    return _of(found) if found is not None and _is_mine(path) else Owner.UNKNOWN


def this_process() -> str:
    """The name of this process among those of all machines, e.g. `ek5b1f02c4-9d3e-1a2b-3c4d5e`."""
    place, boot = _here()
    return f"ek{place}-{boot}-{os.getpid():x}-{_started(os.getpid()) or 0:x}"


def process_named(name: str) -> Owner:
    """Whether the process is alive that called itself `name` by `this_process`."""
    found = _PROCESS.fullmatch(name)
    return Owner.UNKNOWN if found is None else _of(found)


def _of(found: re.Match[str]) -> Owner:
    place, boot = _here()
    if found["place"] != place:
        return Owner.UNKNOWN
    if found["boot"] != boot:
        # Numbers of other namespaces are used again; a machine that has started again has none of its processes.
        return Owner.DEAD if _namespace() == _FIRST_NAMESPACE else Owner.UNKNOWN
    return Owner.ALIVE if _is_alive(int(found["pid"], 16), int(found["start"], 16)) else Owner.DEAD


def _prefix(prefix: str, folder: Path) -> str:
    """`prefix` and this process, for a name in `folder`, which is swept once by each process."""
    if (key := (os.getpid(), str(folder))) not in _swept:
        _swept.add(key)
        clean([folder])
    return f"{prefix}{this_process()}-"


def _owned_in(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from [Path(entry.path) for entry in entries if _OWNED.search(entry.name)]


def _is_mine(path: Path) -> bool:
    """Whether it is a file or folder of this user, and no link."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has no users in this sense
        found = path.lstat()
        return found.st_uid == os.geteuid() and (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode))
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@functools.cache
def _here() -> tuple[str, str]:
    """Digests of this machine with its namespace of processes, and of its boot."""
    machine = _text("/etc/machine-id") or _text("/var/lib/dbus/machine-id")
    return (
        _digest(f"{platform.node()} {machine} {_namespace()}", 8),
        _digest(_text("/proc/sys/kernel/random/boot_id"), 4),
    )


def _digest(text: str, length: int) -> str:
    import zlib

    return f"{zlib.crc32(text.encode()):08x}"[:length]


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _namespace() -> str:
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _is_alive(pid: int, start: int) -> bool:
    """Whether the process runs; true where the system does not say."""
    if os.name != "posix":
        return True
    now = _started(pid)
    if now is not None:
        return now == start
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user that /proc hides
        return True
    return not Path("/proc/self/stat").exists()


def _started(pid: int) -> int | None:
    """When a process started, in ticks since the boot, which no change of the clock moves; None if it is not there."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        # The second field is the name of the program in brackets, which may contain anything.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return -1 if fields[0].decode() in _ENDED_STATES else int(fields[19])
    return None
