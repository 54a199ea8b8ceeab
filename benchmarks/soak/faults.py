"""What goes wrong in a round: before a command starts, or at a random moment while it runs."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.soak.commands import Command
from benchmarks.soak.place import ENTRANCE, SMALL_BYTES, Place, entrance_of
from tests.standins.desk import Host
from tests.standins.pi import descendants

from edgekit.devices.leasing.leases import LASTS_S

STOPPED: Final = frozenset({130, 141})
# A verdict, wrong use, something that is missing, undecided, unreadable: every code that the documentation has.
DOCUMENTED: Final = frozenset({0, 1, 2, 3, 4, 5})
GARBAGE: Final = "head -c 3000 /dev/urandom"


@dataclass
class Attempt:
    """How a command is started: what is changed by a fault, and which exit codes are right then."""

    environment: dict[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    during: Callable[[subprocess.Popen[bytes]], None] | None = None
    closes_output: bool = False
    codes: frozenset[int] = DOCUMENTED


Fault = Callable[[Command, Place, random.Random], AbstractContextManager[Attempt]]


def drawn(command: Command, rng: random.Random) -> str:
    """A fault that can happen to this command; empty for none."""
    names: list[str] = ["", "", "", "", *_ANYWHERE, *_ANYWHERE, *(_REMOTE if command.devices else ())]
    return names[rng.randrange(len(names))]


@contextmanager
def failing(name: str, command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    """An attempt at the command with this fault; afterwards the fault is over."""
    if not name:
        yield Attempt(codes=command.codes)
        return
    with {**_ANYWHERE, **_REMOTE}[name](command, place, rng) as attempt:
        yield attempt


@contextmanager
def _kill(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    yield _signalled(signal.SIGKILL, rng, DOCUMENTED | {-9})


@contextmanager
def _kill_child(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    def during(process: subprocess.Popen[bytes]) -> None:
        found = descendants(process.pid)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(found), signal.SIGKILL)

    yield Attempt(during=during)


@contextmanager
def _interrupt(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    yield _signalled(signal.SIGINT, rng, DOCUMENTED | STOPPED, whole_group=True)


@contextmanager
def _terminate(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    yield _signalled(signal.SIGTERM, rng, DOCUMENTED | STOPPED)


@contextmanager
def _small_files(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    yield Attempt(limits=("prlimit", f"--fsize={rng.choice([0, 100, 4000, 40_000, 200_000])}:"))


@contextmanager
def _few_open_files(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    yield Attempt(limits=("prlimit", f"--nofile={rng.randrange(12, 64)}:"))


@contextmanager
def _full_disk(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    """The folder for temporary files is on a disk with little space."""
    filler = place.small / "filler"
    filler.write_bytes(bytes(SMALL_BYTES - (1 << 16) - rng.randrange(SMALL_BYTES // 4)))
    try:
        yield Attempt({"TMPDIR": str(place.small)})
    finally:
        filler.unlink()


@contextmanager
def _closed_output(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    yield Attempt(closes_output=True, codes=DOCUMENTED | STOPPED)


@contextmanager
def _cut(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    """Every connection ends at once."""

    def during(_: subprocess.Popen[bytes]) -> None:
        for host in place.desks:
            _end_sessions(host)
        place.pi.cut_connections()
        place.phone.daemon.cut()
        place.browser.close()

    try:
        yield Attempt(during=during)
    finally:
        place.phone.adb("connect", place.phone.serial)


@contextmanager
def _restart(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    """A device is switched off and on again."""
    host = rng.choice(place.desks)

    def during(_: subprocess.Popen[bytes]) -> None:
        host.kill()
        time.sleep(rng.uniform(0, 3))
        host.start()

    try:
        yield Attempt(during=during)
    finally:
        if host.process.poll() is not None:
            host.start()


@contextmanager
def _garbage(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    """The shells of the devices print bytes that nobody asked for."""
    after = ENTRANCE.replace("exec ", "") + f"{GARBAGE}\n"
    before = ENTRANCE.replace("exec ", f"{GARBAGE}\nexec ")
    for host in place.desks:
        entrance_of(host).write_text(before if rng.random() < 0.5 else after)
    try:
        yield Attempt()
    finally:
        for host in place.desks:
            entrance_of(host).write_text(ENTRANCE)


@contextmanager
def _stale_lease(command: Command, place: Place, rng: random.Random) -> Iterator[Attempt]:
    """Another command took every device and was killed; its lease is over, or lasts a little longer."""
    now = int(time.time())
    until = now + rng.choice([-10, 4])
    for folder in (place.folder / "leases", *(host.state / "leases" for host in place.desks)):
        folder.mkdir(exist_ok=True)
        number = max([0, *(int(path.suffix[1:]) for path in folder.glob("lease.*"))]) + 1
        (folder / f"lease.{number}").write_text(f"dead someone@elsewhere {now - LASTS_S} {until}\n")
    try:
        yield Attempt()
    finally:
        time.sleep(max(0.0, until + 1 - time.time()))


def _signalled(number: int, rng: random.Random, codes: frozenset[int], *, whole_group: bool = False) -> Attempt:
    def during(process: subprocess.Popen[bytes]) -> None:
        _await_listening(process)
        with contextlib.suppress(ProcessLookupError):
            if whole_group:
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)

    return Attempt(during=during, codes=codes)


def _await_listening(process: subprocess.Popen[bytes]) -> None:
    """Wait until edgekit handles signals: before that, Python has not started, and the system ends the process."""
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            caught = next(line for line in lines if line.startswith("SigCgt:"))
            if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
        time.sleep(0.01)


def _end_sessions(host: Host) -> None:
    for pid in descendants(host.process.pid):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if line.startswith(b"sshd: ") and b"listener" not in line:
                os.kill(pid, signal.SIGKILL)


_ANYWHERE: Final[Mapping[str, Fault]] = {
    "kill -9": _kill,
    "kill -9 of a child": _kill_child,
    "Ctrl-C": _interrupt,
    "SIGTERM": _terminate,
    "limit of file sizes": _small_files,
    "limit of open files": _few_open_files,
    "full disk": _full_disk,
    "closed output": _closed_output,
}
_REMOTE: Final[Mapping[str, Fault]] = {
    "connections cut": _cut,
    "device restarted": _restart,
    "garbage from the shell": _garbage,
    "stale lease": _stale_lease,
}
