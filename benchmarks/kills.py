"""Kills commands with SIGKILL at random moments, and checks what the next run finds and leaves.

python -m benchmarks.kills                            up to 50 of each command, with those in kills.jsonl
python -m benchmarks.kills --kills 20 export check    up to 20 of some of them
python -m benchmarks.kills --table                    the table of docs/reliability.md

The moments are spread over the whole duration. One kill in three hits the process that the user started, one its child,
which does the work, and one the youngest process of all; every second run has an empty cache. After each kill the same
command runs to its end: it must succeed, lose nothing that an earlier run has reported as done, and leave no temporary
file, no process and no half output. `prepare` and `deploy` run against a home folder of this machine, through the
scripts that devices get.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import psutil

from edgekit.core.bundle import Bundle
from edgekit.core.errors import EdgekitError
from edgekit.core.system.durable.owners import temporary_folder

ROOT: Final = Path(__file__).parents[1]
RECORD: Final = Path(__file__).with_suffix(".jsonl")
VICTIMS: Final = ("command", "child", "youngest")
# The fractions of multiples of the golden ratio are spread evenly, however many of them are used.
_GOLDEN: Final = 0.6180339887498949
# What a command whose child was killed may exit with: no memory left, or a backend or converter that crashed.
_TOLD: Final = (3, 5)
_TAG: Final = "KILLED_BY_BENCHMARK"
_ENDS_S: Final = 20.0
# A file instead of a module: its conversion takes the same steps, and needs no PyTorch, which takes seconds to load.
NET: Final = """
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
weights = {"a": (16, 8), "b": (8, 3)}
nodes = [
    helper.make_node("Flatten", ["x"], ["flat"]),
    helper.make_node("MatMul", ["flat", "a"], ["hidden"]),
    helper.make_node("Relu", ["hidden"], ["positive"]),
    helper.make_node("MatMul", ["positive", "b"], ["y"]),
]
graph = helper.make_graph(
    nodes,
    "net",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 4, 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
    [numpy_helper.from_array(random.normal(size=size).astype(np.float32), name) for name, size in weights.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save(model, "net.onnx")
"""
SAMPLES: Final = """
import numpy as np
x = np.random.default_rng(0).random((60, 1, 4, 4), dtype=np.float32)
np.savez("samples.npz", x=x, label=np.arange(60) % 3)
"""
SWEEP: Final = 'models = ["bundle"]\nthreads = [1, 2]\nlaunches = 5\ntime_limit_s = 0.02\n'
CHECK: Final = '[check]\nlaunches = 5\ntime_limit_s = 0.02\n[[check.models]]\npath = "bundle"\n'
DEVICE: Final = """
import sys
from pathlib import Path
from tests.standins.local_shell import LocalShell
from edgekit.devices.remote import engines
from edgekit.devices.remote.installed_programs import install_program
shell = LocalShell(Path("home").absolute())
"""
DEPLOY: Final = f"{DEVICE}print(*install_program(shell, 'net', Path('program.pyz')))"
PREPARE: Final = f"""{DEVICE}
engines.install(shell, Path("site.tar.gz"), "site", ("libonnxruntime",))
engines.remove_others(shell, Path("site.tar.gz"), "site")
"""
MAKE_DEVICE: Final = f"""{DEVICE}
import os
shell.home.mkdir()
Path("program.pyz").write_text("print('ran')")
Path("site").mkdir()
for number in range(40):
    Path("site", str(number)).write_bytes(os.urandom(200_000))
Path("site/.complete").touch()
engines.write_archive(Path("site"), Path("site.tar.gz"))
"""


@dataclass(frozen=True)
class Killed:
    """A command, what must exist before it, and what of its earlier runs has to stay, each as bytes."""

    name: str
    arguments: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    lasting: Callable[[Path], list[bytes]] = lambda _: []


def edgekit(words: str) -> tuple[str, ...]:
    """The command line of an edgekit command."""
    return (sys.executable, "-m", "edgekit", *words.split())


def _python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def _lines(name: str) -> Callable[[Path], list[bytes]]:
    def read(folder: Path) -> list[bytes]:
        path = folder / name
        return path.read_bytes().splitlines() if path.is_file() else []

    return read


def _epochs(folder: Path) -> list[bytes]:
    """What each epoch of a training gave, without its time: one that is killed before its checkpoint is repeated."""
    rows = [json.loads(line) for line in _lines("run/history.jsonl")(folder)]
    return [json.dumps({**row, "wall_s": None}).encode() for row in rows]


def _whole(name: str) -> Callable[[Path], list[bytes]]:
    """The names of those of a bundle, itself or in an output, that open with every checksum right."""

    def read(folder: Path) -> list[bytes]:
        try:
            Bundle.open(folder / name).close()
        except EdgekitError:
            return []
        return [name.encode()]

    return read


def _versions(folder: Path) -> list[bytes]:
    return [os.fsencode(path.name) for path in folder.glob("home/.cache/edgekit/deployed/net/versions/*")]


_SOURCE: Final = "net.onnx --samples samples.npz --to onnx-fp32 --force --out"
_EXPORT: Final = edgekit(f"export {_SOURCE} bundle")
_MODEL: Final = (_python(NET), _python(SAMPLES))
_TRAIN: Final = "train digits --set epochs=6 --set batch_size=512 --set threads=1 --out run"
COMMANDS: Final = {
    one.name: one
    for one in (
        Killed("export", _EXPORT, _MODEL, _whole("bundle")),
        Killed(
            "build", edgekit(f"build {_SOURCE} built --launches 3 --time-limit 0.02"), _MODEL, _whole("built/bundle")
        ),
        Killed("check", edgekit("check"), (*_MODEL, _EXPORT), _lines("edgekit-history.jsonl")),
        Killed("sweep", edgekit("sweep sweep.toml --again"), (*_MODEL, _EXPORT), _lines("sweep.jsonl")),
        Killed("train", edgekit(_TRAIN), (), _epochs),
        Killed("prepare", _python(PREPARE), (_python(MAKE_DEVICE),)),
        Killed("deploy", _python(DEPLOY), (_python(MAKE_DEVICE),), _versions),
    )
}


@dataclass(frozen=True)
class Kill:
    """One kill: its number, who was killed after which part of the duration, and what was wrong after it."""

    command: str
    number: int
    victim: str
    fraction: float
    after_s: float
    problems: tuple[str, ...] = ()

    def line(self) -> bytes:
        """The kill as a line of the record."""
        facts: dict[str, Any] = {**vars(self), "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
        return json.dumps(facts).encode() + b"\n"


class Trial:
    """One command in a folder of its own, with its own home, cache and temporary files."""

    def __init__(self, killed: Killed, folder: Path, seed: int) -> None:
        self.killed, self.folder = killed, folder
        self.start = random.Random(f"{killed.name} {seed}").random()
        self.lasts_s = 0.0
        for name in ("work", "tmp", "cache"):
            (folder / name).mkdir(parents=True)
        (self.work / "edgekit.toml").write_text(CHECK)
        (self.work / "sweep.toml").write_text(SWEEP)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EDGEKIT_")},
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "TMPDIR": str(folder / "tmp"),
            "EDGEKIT_CACHE": str(folder / "cache"),
            "EDGEKIT_LEASES": str(folder / "cache" / "leases"),
            _TAG: str(folder),
        }

    @property
    def work(self) -> Path:
        """The current folder of the command."""
        return self.folder / "work"

    def kills(self, numbers: range) -> Iterator[Kill]:
        """Kill the command once for each number, and look at what it left. Runs that ended before do not count."""
        for arguments in self.killed.before:
            self.succeeds(arguments)
        self.succeeds(self.killed.arguments)
        expected = self.left()
        shift = self.start
        for number in numbers:
            killed = None
            while killed is None:
                fraction = (shift + number * _GOLDEN) % 1.0
                killed = self._after_one(number, fraction, expected)
                shift += _GOLDEN / 2
            yield killed

    def started(self, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        """The command, in a session of its own, with its errors in a file."""
        return subprocess.Popen(
            self.killed.arguments,
            cwd=self.work,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )

    def problems(self, kills: int) -> list[str]:
        """What went wrong, one line each."""
        return [problem for kill in self.kills(range(kills)) for problem in kill.problems]

    def _after_one(self, number: int, fraction: float, expected: set[str]) -> Kill | None:
        if self.killed.name == "train":
            shutil.rmtree(self.work / "run", ignore_errors=True)
        if number % 2:
            shutil.rmtree(self.folder / "cache" / "conversions", ignore_errors=True)
        done, victim = self.killed.lasting(self.work), VICTIMS[number % len(VICTIMS)]
        moment = fraction * self.lasts_s
        problems, is_killed = self._kill(moment, victim)
        done = done if self.killed.name != "train" else self.killed.lasting(self.work)
        if strays := self.processes():
            problems.append(f"still running: {strays}")
        problems += self._lost(done, "the kill")
        again = (
            (*self.killed.arguments, "--resume") if (self.work / "run/run.json").is_file() else self.killed.arguments
        )
        finished = self._timed(again)
        if finished.returncode != 0:
            problems.append(f"the next run exits with {finished.returncode}: {finished.stderr[-300:]}")
        problems += self._lost(done, "the next run")
        if left := self.left() - expected:
            problems.append(f"left: {sorted(left)[:5]}")
        told = tuple(f"{self.killed.name}, {victim} killed after {moment:.2f} s: {one}" for one in problems)
        return Kill(self.killed.name, number, victim, round(fraction, 4), round(moment, 2), told) if is_killed else None

    def _lost(self, done: list[bytes], after: str) -> list[str]:
        kept = self.killed.lasting(self.work)
        lost = [one for one in done if one not in kept]
        return [f"{len(lost)} of {len(done)} reported results are lost after {after}"] if lost else []

    def _kill(self, moment: float, victim: str) -> tuple[list[str], bool]:
        """What is wrong with how the command ended, and whether it was still running."""
        errors = self.folder / "errors"
        with errors.open("wb") as stream:
            process = self.started(stream)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                is_child = _kill_one(process, victim)
            else:
                return [], False
            code = process.wait()
        said = errors.read_text(errors="replace")
        errors.unlink()
        # A child that had just ended, or that another one replaced, costs nothing.
        is_told = code in (0, *_TOLD) and "Traceback" not in said
        is_own_program = "-m" not in self.killed.arguments
        return [] if is_told or is_own_program or not is_child else [f"exits with {code}: {said[-300:]}"], True

    def processes(self) -> list[str]:
        """What the killed command had started and has not ended by itself after a while."""
        deadline = time.monotonic() + _ENDS_S
        while (found := list(self._described())) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def family(self) -> Iterator[int]:
        """The numbers of all processes of the command."""
        tag = f"{_TAG}={self.folder}".encode()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if tag in (path / "environ").read_bytes().split(b"\0"):
                    yield int(path.name)
            except OSError:
                continue

    def _described(self) -> Iterator[str]:
        for pid in self.family():
            try:
                yield Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:80]
            except OSError:
                continue

    def left(self) -> set[str]:
        """Temporary files, and what is in the folder of the command and of the device, without numbers of versions."""
        staged = (
            path for path in (self.folder / "cache").rglob("*") if path.name.startswith((".new", ".out", ".part"))
        )
        # Files that a device keeps by their checksum are shared by all versions.
        own = (path for path in self.work.rglob("*") if "versions" not in path.parts)
        return {str(path) for path in (*(self.folder / "tmp").iterdir(), *staged, *own)}

    def _timed(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """A run to the end, whose duration is that of the next one."""
        start = time.monotonic()
        done = self._run(arguments)
        self.lasts_s = time.monotonic() - start
        return done

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, cwd=self.work, env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )

    def succeeds(self, arguments: tuple[str, ...]) -> None:
        """Run a command that must succeed."""
        done = self._timed(arguments)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments} exits with {done.returncode}: {done.stderr[-1000:]}")


def _kill_one(process: subprocess.Popen[bytes], victim: str) -> bool:
    """Kill what `victim` names; True if that is another process than the one that was started."""
    try:
        family = psutil.Process(process.pid).children(recursive=True) if victim != "command" else []
        chosen = family[:1] if victim == "child" else sorted(family, key=psutil.Process.create_time)[-1:]
        for one in chosen:
            one.kill()
    except psutil.NoSuchProcess:
        chosen = []
    if not chosen:
        process.kill()
    return bool(chosen)


def _recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORD.read_text().splitlines()] if RECORD.is_file() else []


def _table() -> str:
    rows = ["| command | kills tried | problems |", "|---|---|---|"]
    for name in COMMANDS:
        kills = [kill for kill in _recorded() if kill["command"] == name]
        rows.append(f"| `{name}` | {len(kills)} | {sum(bool(kill['problems']) for kill in kills)} |")
    return "\n".join(rows)


def main() -> int:
    """Record each kill, and print each problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", choices=[*COMMANDS, []], help="Which commands; all if none is given.")
    parser.add_argument("--kills", type=int, default=50, help="How many of each, with those recorded before.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="Print what is recorded, and do nothing.")
    options = parser.parse_args()
    if options.table:
        print(_table())
        return 0
    found = 0
    for name in options.commands or COMMANDS:
        before = sum(kill["command"] == name for kill in _recorded())
        with temporary_folder("edgekit-kills-") as folder:
            for kill in Trial(COMMANDS[name], Path(folder), options.seed).kills(range(before, options.kills)):
                with RECORD.open("ab") as stream:
                    stream.write(kill.line())
                found += len(kill.problems)
                print(*kill.problems, sep="\n", end="\n" * bool(kill.problems), flush=True)
        print(f"{name}: {max(before, options.kills)} kills recorded", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
