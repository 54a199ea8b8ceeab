"""Tries one mutant in this process, and says what is wrong with how the command ended."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.fuzz.case import Case

# docs/exit-codes.md, without that of a bug and those of an interrupt and of a reader that is gone.
DOCUMENTED: Final = (0, 1, 2, 3, 4, 5)
MOST_BYTES: Final = 2 << 30
MEMORY_GB: Final = "1"
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES: Final = {
    **{f"os.{name}": (0,) for name in ("remove", "mkdir", "rmdir", "truncate", "chmod", "chown", "utime", "setxattr")},
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "shutil.rmtree": (0,),
    "shutil.move": (0, 1),
}
# What edgekit asks the machine, and Python itself.
_PROGRAMS: Final = (
    "git",
    "ssh-keygen",
    "nvidia-smi",
    "ldconfig",
    "uname",
    "lscpu",
    "getconf",
    Path(sys.executable).name,
)
# What a command may write at any time, and what it prints.
_APART: Final = ("cache", "leases", "told")
# PyTorch keeps a cache there for each user, whoever calls it.
_TORCH: Final = "tmp/torchinductor_"
_LONGEST_TEXT: Final = 1 << 20

State = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or minus the signal, and what must not be so."""

    code: int
    problems: tuple[str, ...]
    cpu_s: float
    peak_bytes: int
    told: str


class Ground:
    """The folders of one process: the current one of the command, its home, temporary files, and others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "inside" / "work"
        for name in ("home", "tmp", "inside", *_APART):
            (root / name).mkdir(parents=True, exist_ok=True)
        for place in ("home/.bashrc", "home/.ssh/authorized_keys", "inside/outside.txt", "docs/page.md", "canary"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_text("untouched\n")

    def enter(self, case: Case) -> None:
        """Make the folder of the command anew, with the files of the mutant, and go there."""
        os.chdir(self.root)
        shutil.rmtree(self.work, ignore_errors=True)
        # A process that ended in the middle of a mutant leaves its files, which the next command would rightly remove.
        self._empty()
        self.work.mkdir()
        case.lay_out(self.work)
        os.chdir(self.work)

    def settle(self) -> None:
        """Make this process one whose home and temporary files are here."""
        for name in [name for name in os.environ if name.startswith(("EDGEKIT_", "XDG_", "GITHUB_", "CI"))]:
            del os.environ[name]
        os.environ.update(
            HOME=str(self.root / "home"),
            TMPDIR=str(self.root / "tmp"),
            EDGEKIT_CACHE=str(self.root / "cache"),
            EDGEKIT_LEASES=str(self.root / "leases"),
            EDGEKIT_MEMORY_GB=MEMORY_GB,
            EDGEKIT_OFFLINE="1",
            LC_ALL="C.UTF-8",
        )
        tempfile.tempdir = str(self.root / "tmp")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def state(self) -> State:
        """Every file and folder here with what would show a change, apart from the cache and the leases."""
        return {name: _facts(path) for name, path in self._paths()}

    def changed(self, before: State, case: Case) -> Iterator[str]:
        """What is different now and must not be; leftovers are removed."""
        after = self.state()
        for name in sorted(before.keys() | after.keys()):
            inside = name.removeprefix("inside/work/")
            is_own = inside != name and inside.startswith(case.writes)
            if before.get(name) != after.get(name) and not is_own and not name.startswith(_TORCH):
                yield f"{'left' if name not in before else 'changed'} {name}"
        self._empty()

    def _empty(self) -> None:
        for path in (self.root / "tmp").iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    def _paths(self) -> Iterator[tuple[str, Path]]:
        for folder, folders, files in os.walk(self.root):
            at = Path(folder)
            if at == self.root:
                folders[:] = [name for name in folders if name not in _APART]
            for name in (*folders, *files):
                path = at / name
                yield str(path.relative_to(self.root)), path


def _facts(path: Path) -> tuple[int, ...]:
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        # The time of a folder changes with what is put there for a while.
        return (
            found.st_mode,
            *(() if stat.S_ISDIR(found.st_mode) else (found.st_size, found.st_mtime_ns, found.st_ino)),
        )
    return ()


class Watch:
    """What this process does anywhere, by Python's audit events: files that it changes, programs, connections."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._found: list[str] = []
        self._is_on = False
        sys.addaudithook(self._hear)

    @contextlib.contextmanager
    def heard(self) -> Iterator[list[str]]:
        """What happens meanwhile that must not."""
        self._found, self._is_on = [], True
        try:
            yield self._found
        finally:
            self._is_on = False

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event == "open" and isinstance(given[2], int) and given[2] & _WRITING:
            self._judge("wrote", given[0])
        elif event in _CHANGES:
            for place in _CHANGES[event]:
                self._judge(event, given[place])
        elif event == "subprocess.Popen" and not _is_own(*given[:2]):
            self._found.append(f"started {given[0]!r}")
        elif event == "socket.connect" and isinstance(given[1], tuple) and given[1][0] not in ("127.0.0.1", "::1"):
            self._found.append(f"connected to {given[1]}")
        elif event in ("os.system", "os.startfile"):
            self._found.append(f"started {given[0]!r}")

    def _judge(self, doing: str, path: object) -> None:
        if isinstance(path, str | bytes):
            place = os.path.abspath(os.fsdecode(path))
            if not place.startswith((f"{self._root}/", "/dev/null", "/dev/shm/", "/proc/self/")):
                self._found.append(f"{doing} {place}")


def _is_own(program: str | bytes, arguments: Sequence[str]) -> bool:
    """Whether edgekit starts such a program itself; a shell, for the lease of this machine alone."""
    name = Path(os.fsdecode(program)).name
    return name in _PROGRAMS or (name == "sh" and arguments[:2] == ["sh", "-c"] and "EDGEKIT_LEASES" in arguments[2])


class Streams:
    """Standard output and error of this process, written to one file each, which is emptied for each command."""

    def __init__(self, root: Path) -> None:
        self._files = [
            os.open(root / "told" / name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600) for name in ("out", "err")
        ]
        for number, file in enumerate(self._files, 1):
            os.dup2(file, number)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process

    def begin(self) -> None:
        """Empty both, with fresh streams of Python."""
        for name, number, file in (("stdout", 1, self._files[0]), ("stderr", 2, self._files[1])):
            os.ftruncate(file, 0)
            stream = io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", errors="replace")
            setattr(sys, name, stream)

    def told(self) -> tuple[str, str]:
        """What was written to each, or the beginning of much."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        first, second = (os.pread(file, _LONGEST_TEXT, 0).decode(errors="replace") for file in self._files)
        return first, second


def tried(case: Case, ground: Ground, watch: Watch, streams: Streams) -> Ended:
    """Run the command of a mutant in this process."""
    ground.enter(case)
    before, start = ground.state(), time.process_time()
    streams.begin()
    with watch.heard() as heard:
        code = _code_of(case)
    told = streams.told()
    os.chdir(ground.root)
    problems = [*wrong_with(code, *told), *dict.fromkeys(heard), *ground.changed(before, case)]
    peak = peak_bytes()
    if peak > MOST_BYTES:
        problems.append(f"took {peak >> 20} MiB")
    return Ended(code, tuple(problems), time.process_time() - start, peak, told[1][-1500:])


def _code_of(case: Case) -> int:
    from edgekit.cli.failures import report
    from edgekit.cli.main import run

    if case.call is None:
        return run(list(case.arguments))
    try:
        case.call()
    except BaseException as err:  # noqa: BLE001 - judged like the command that makes the call
        return report(err, list(case.arguments))
    return 0


def wrong_with(code: int, out: str, err: str) -> Iterator[str]:
    """What must not be in how a command ended."""
    if code < 0:
        yield f"killed by signal {-code}"
    elif code not in DOCUMENTED:
        yield f"exit code {code}: {err[-400:]}"
    if "Traceback (most recent call last)" in out + err:
        yield "printed a traceback"


def peak_bytes() -> int:
    """The most memory that this process, or one that it has waited for, has had."""
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
