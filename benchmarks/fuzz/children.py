"""The processes in which mutants are tried: many in one, one after another, or one alone in the whole program."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.fuzz.case import Case, Maker
from benchmarks.fuzz.trial import DOCUMENTED, MOST_BYTES, Ended, Ground, Streams, Watch, tried, wrong_with

# Of processor time: a machine that is busy makes no command hang. The second limit is for those that only wait.
LIMIT_S: Final = 20.0
_WAITING_S: Final = 600.0
# A model may say that it never ends; its command must then end when it is interrupted, within this time: on a machine
# that is busy with more important things, the command waits for its turn first.
STOPPED: Final = f"was interrupted after {LIMIT_S:.0f} s"
_UNWINDS_S: Final = 300.0
_POLL_S: Final = 1.0
INTERRUPTED: Final = 130
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def case_of(kind: str, maker: Maker, seed: int, index: int) -> Case:
    """The mutant of a kind, which its seed and its number determine."""
    return maker(Random(f"{kind}:{seed}:{index}"))


def in_one_process(cases: Sequence[tuple[int, Case]], ground: Ground) -> Iterator[tuple[int, Ended | None]]:
    """Try mutants one after another in a child; None for the one at which it ended or stopped, the last one given."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        _leave_after(lambda: _try_all(cases, ground, writer))
    os.close(writer)
    try:
        with open(reader, "rb", buffering=0) as replies:
            rest = b""
            for index, _ in cases:
                line, rest = _line(replies.fileno(), rest, pid)
                yield index, _ended(line) if line else None
                if not line:
                    return
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def alone(case: Case, ground: Ground) -> Ended:
    """Try a mutant in the program as users start it: a process that waits for one that works."""
    ground.enter(case)
    before = ground.state()
    pid = os.fork()
    if not pid:
        _leave_after(lambda: _program(case, ground))
    code, usage, problems = _awaited(pid)
    out, err = (
        path.read_bytes()[: 1 << 20].decode(errors="replace")
        for path in (ground.root / "told/out", ground.root / "told/err")
    )
    was_stopped = problems == [STOPPED] and code == INTERRUPTED
    problems += [*([] if was_stopped else wrong_with(code, out, err)), *ground.changed(before, case)]
    if strays := _end_strays(pid):
        problems.append(strays)
    peak = usage.ru_maxrss * 1024
    if peak > MOST_BYTES:
        problems.append(f"took {peak >> 20} MiB")
    return Ended(code, tuple(problems), usage.ru_utime + usage.ru_stime, peak, err[-1500:])


class _Limit:
    """What the processes of a group may still use, from now on."""

    def __init__(self, group: int) -> None:
        self._group = group
        self._start_s = time.monotonic()
        self._next_s = self._start_s + _POLL_S
        self._ran_s: float | None = None

    def is_reached(self) -> bool:
        """Whether they have used it up; looked up once a second."""
        now = time.monotonic()
        if now < self._next_s:
            return False
        self._next_s, ran_s = now + _POLL_S, _ran_s(self._group)
        # Most end within the first second, in which looking it up would cost more than they do.
        self._ran_s = ran_s if self._ran_s is None else self._ran_s
        return ran_s - self._ran_s > LIMIT_S or now - self._start_s > _WAITING_S


def _ran_s(group: int) -> float:
    """The processor time of the processes in a group, and of those that they have waited for."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (path / "stat").read_bytes().rpartition(b")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS


def _leave_after(work: object) -> None:
    """Do the work of a child, and end it without what its parent has still to do."""
    code = 99
    try:
        os.setpgid(0, 0)
        code = work()  # type: ignore[operator]  # a function of this module
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else 1
    except BaseException:  # noqa: BLE001 - the process ends here
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _try_all(cases: Sequence[tuple[int, Case]], ground: Ground, writer: int) -> int:
    from edgekit.cli.startup import prepare

    watch, streams = Watch(ground.root), Streams(ground.root)
    prepare()
    for _, case in cases:
        ended = tried(case, ground, watch, streams)
        os.write(writer, json.dumps(asdict(ended)).encode() + b"\n")
        if ended.peak_bytes > MOST_BYTES // 2:
            return 0  # the memory of the next one could not be told from that of this one
    return 0


def _program(case: Case, ground: Ground) -> int:
    _forget_ends()
    # A shell lets what it starts in the background ignore an interrupt; a user who sees a command does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    watch, streams = Watch(ground.root), Streams(ground.root)
    streams.begin()
    sys.argv = ["edgekit", *case.arguments]
    with watch.heard() as heard:
        # A command ends its process itself, after these functions.
        atexit.register(lambda: heard and os.write(2, f"Traceback (most recent call last): {heard}\n".encode()))
        code = _main(case)
        atexit._run_exitfuncs()
        return code


def _forget_ends() -> None:
    """What the parent of this fork does at its end, such as to remove the ground, is not done here."""
    atexit._clear()
    vars(weakref)["finalize"]._registry.clear()
    vars(weakref)["finalize"]._registered_with_atexit = False


def _main(case: Case) -> int:
    from edgekit.cli.failures import report
    from edgekit.cli.main import main

    if case.call is None:
        main()
    try:
        case.call()
    except BaseException as err:  # noqa: BLE001 - judged like the command that makes the call
        return report(err, list(case.arguments))
    return 0


def _awaited(pid: int) -> tuple[int, resource.struct_rusage, list[str]]:
    """The exit code of a child, what it used, and whether it took too long."""
    limit, interrupted_at = _Limit(pid), 0.0
    problems: list[str] = []
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage, problems
        if not problems and limit.is_reached():
            problems, interrupted_at = [STOPPED], time.monotonic()
            os.kill(pid, signal.SIGINT)
        elif len(problems) == 1 and time.monotonic() > interrupted_at + _UNWINDS_S:
            problems.append("an interrupt did not end it")
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.005)


def _end_strays(pid: int) -> str:
    """What is said of processes that the command has left, which are ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
        return "left a process"
    return ""


def _line(reader: int, rest: bytes, pid: int) -> tuple[bytes, bytes]:
    """The next line, empty if there is none within the limit or the writer is gone; and what follows it."""
    limit = _Limit(pid)
    while b"\n" not in rest:
        readable, _, _ = select.select([reader], [], [], _POLL_S)
        if not readable and limit.is_reached():
            return b"", rest
        if readable:
            data = os.read(reader, 1 << 16)
            if not data:
                return b"", rest
            rest += data
    line, _, rest = rest.partition(b"\n")
    return line, rest


def _ended(line: bytes) -> Ended:
    found = json.loads(line)
    return Ended(**{**found, "problems": tuple(found["problems"])})


def is_plain(ended: Ended | None) -> bool:
    """Whether a mutant that was tried among others needs no trial alone."""
    return ended is not None and ended.code in DOCUMENTED and not ended.problems
