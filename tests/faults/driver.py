"""Runs commands in one process with the faults of faults.c at every call that writes, and prints what went wrong.

LD_PRELOAD=faults.so python -m tests.faults.driver MATERIAL SCRATCH

MATERIAL contains a bundle; SCRATCH is emptied for each fault. The output is one JSON document: the number of faults
and what was wrong after them.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.cli.main import run
from edgekit.core.system.durable import owners

ONCE, FROM, SHORT = 0, 1, 2
FAULTS = ((errno.ENOSPC, SHORT), (errno.ENOSPC, FROM), (errno.EROFS, FROM), (errno.EDQUOT, SHORT), (errno.EIO, ONCE))
# Caches may lack what could not be written; a torn line is set aside, which is said.
APART = (".cache", ".torn")
MOST_POINTS = 200


@dataclass(frozen=True)
class Action:
    """A command, whose words may contain FOLDER, and the commands that prepare what it changes."""

    name: str
    words: str
    before: tuple[str, ...] = ()


ACTIONS = (
    Action("pack", "bundle pack bundle --out packed.edgekit"),
    Action(
        "pack --force", "bundle pack bundle --out packed.edgekit --force", ("bundle pack bundle --out packed.edgekit",)
    ),
    Action("run packed", "run packed.edgekit --input sample:0", ("bundle pack bundle --out packed.edgekit",)),
    Action("run --output npz", "run bundle --input sample:0 --output out.npz"),
    Action("run --output json", "run bundle --input sample:0 --output out.json"),
    Action("sbom", "bundle sbom bundle --out bundle.cdx.json"),
    Action("devices add", "devices add pi --ssh pi@nowhere", ("devices add other --ssh pi@elsewhere",)),
    Action("devices remove", "devices remove pi", ("devices add pi --ssh pi@nowhere",)),
    Action("deploy --for python", "deploy bundle --for python --out program"),
    Action("history accept", "history accept --why larger"),
    Action("history accept again", "history accept --why larger", ("history accept --why first",)),
)


class Faults:
    """The preloaded library."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.fault_seen.restype = ctypes.c_long

    def set(self, folder: Path, number: int, at: int, mode: int) -> None:
        """Let the calls below `folder` fail from the `at`-th on, or none if it is 0."""
        self._library.fault_set(os.fsencode(folder), number, ctypes.c_long(at), mode)

    def seen(self) -> int:
        """How many calls below the folder wrote."""
        return int(self._library.fault_seen())


def called(words: str) -> tuple[int, str]:
    """The exit code of a command in this process, and what it wrote on stderr."""
    out, err = io.StringIO(), io.StringIO()
    owners._swept.clear()  # as a process of its own
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words.split())
    return code, err.getvalue()


def content(folder: Path) -> dict[str, bytes]:
    """Every file by its path, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if not any(part.endswith(APART) for part in path.relative_to(folder).parts)
        # A new history without a line is none: other processes may have it open, so it is not removed.
        if not (path.suffix == ".jsonl" and not path.stat().st_size)
    }


def fresh(material: Path, scratch: Path, action: Action) -> None:
    """Make `scratch` what it is before the action."""
    os.chdir("/")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in ("home", "tmp"):
        (scratch / name).mkdir()
    shutil.copytree(material / "bundle", scratch / "bundle")
    shutil.copytree(material / "bundle", scratch / "old")
    (scratch / "old" / "note").write_text("of the baseline")
    (scratch / "edgekit.toml").write_text('[[check.models]]\npath = "bundle"\nbaseline = "old"\n')
    os.environ |= {"HOME": str(scratch / "home"), "EDGEKIT_CACHE": str(scratch / "home/.cache")}
    tempfile.tempdir = str(scratch / "tmp")
    os.chdir(scratch)
    for words in action.before:
        code, err = called(words)
        assert code == 0, (words, err)


def problems_of(action: Action, material: Path, scratch: Path, faults: Faults) -> Iterator[str | None]:
    """What went wrong at each fault; None where nothing did."""
    fresh(material, scratch, action)
    faults.set(scratch, 0, 0, FROM)
    code, err = called(action.words)
    points, names = faults.seen(), set(content(scratch))
    if code != 0:
        yield f"{action.name}: exit {code} without a fault: {err[-300:]}"
    for number, mode in FAULTS:
        for at in range(1, min(points, MOST_POINTS) + 1):
            fresh(material, scratch, action)
            before = content(scratch)
            faults.set(scratch, number, at, mode)
            code, err = called(action.words)
            faults.set(Path("/"), 0, 0, FROM)
            where = f"{action.name}, {errno.errorcode[number]}, call {at} of {points}, mode {mode}"
            yield _problem(where, code, err, before, content(scratch))
            again, err = called(action.words)
            left = set(content(scratch)) ^ names
            retried = again == 0 if code else True
            yield (
                None if retried and not (code and left) else f"{where}: second try: {again} {sorted(left)} {err[-200:]}"
            )


def _problem(where: str, code: int, err: str, before: dict[str, bytes], after: dict[str, bytes]) -> str | None:
    if code not in (0, 3):
        return f"{where}: exit {code}: {err[-300:]}"
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    # The last rename of an acceptance comes after its line: then the next one adds another.
    if code and changed and changed != ["edgekit-history.jsonl"]:
        return f"{where}: exit {code}, and changed {changed}"
    return None


def main(material: Path, scratch: Path) -> None:
    """Print the result of all actions."""
    faults = Faults()
    results = [one for action in ACTIONS for one in problems_of(action, material, scratch, faults)]
    os.chdir("/")
    print(json.dumps({"faults": len(results) // 2, "problems": [one for one in results if one]}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
