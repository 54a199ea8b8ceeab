"""Kills commands with SIGKILL at random moments, and checks what the next run finds and leaves.

python -m benchmarks.kills --kills 50                 all commands, as in docs/reliability.md
python -m benchmarks.kills --kills 5 export check     some of them

After each kill the same command runs to its end: it must succeed, lose nothing that an earlier run has reported as
done, and leave no temporary file, no process and no half output. `prepare` and `deploy` run against a home folder of
this machine, through the scripts that devices get.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.system.durable.owners import temporary_folder

ROOT: Final = Path(__file__).parents[1]
_TAG: Final = "KILLED_BY_BENCHMARK"
_ENDS_S: Final = 20.0
NET: Final = """
import torch
from torch import nn

def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
"""
SAMPLES: Final = """
import numpy as np
x = np.random.default_rng(0).random((60, 1, 4, 4), dtype=np.float32)
np.savez("samples.npz", x=x, label=np.arange(60) % 3)
"""
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
    """A command, what must exist before it, and what of its earlier runs has to stay: lines by file."""

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


def _versions(folder: Path) -> list[bytes]:
    return [os.fsencode(path.name) for path in folder.glob("home/.cache/edgekit/deployed/net/versions/*")]


_SOURCE: Final = "net.py:net --samples samples.npz --to onnx-fp32 --force --out"
_EXPORT: Final = edgekit(f"export {_SOURCE} bundle")
_MODEL: Final = (_python(f"open('net.py', 'w').write({NET!r})"), _python(SAMPLES))
_TRAIN: Final = "train digits --set epochs=6 --set batch_size=512 --set threads=1 --out run"
COMMANDS: Final = {
    one.name: one
    for one in (
        Killed("export", _EXPORT, _MODEL),
        Killed("build", edgekit(f"build {_SOURCE} built --launches 5 --time-limit 0.02"), _MODEL),
        Killed("check", edgekit("check"), (*_MODEL, _EXPORT), _lines("edgekit-history.jsonl")),
        Killed("train", edgekit(_TRAIN), (), _lines("run/history.jsonl")),
        Killed("prepare", _python(PREPARE), (_python(MAKE_DEVICE),)),
        Killed("deploy", _python(DEPLOY), (_python(MAKE_DEVICE),), _versions),
    )
}


class Trial:
    """One command in a folder of its own, with its own home, cache and temporary files."""

    def __init__(self, killed: Killed, folder: Path, seed: int) -> None:
        self.killed, self.folder = killed, folder
        self.random = random.Random(f"{killed.name} {seed}")
        for name in ("work", "tmp", "cache"):
            (folder / name).mkdir(parents=True)
        (self.work / "edgekit.toml").write_text(CHECK)
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

    def problems(self, kills: int) -> Iterator[str]:
        """What went wrong, one line each."""
        for arguments in self.killed.before:
            self._succeeds(arguments)
        start = time.monotonic()
        self._succeeds(self.killed.arguments)
        lasts_s = time.monotonic() - start
        expected = self._left()
        for number in range(kills):
            moment = self.random.uniform(0.0, lasts_s)
            for problem in self._after_one(moment, expected):
                yield f"{self.killed.name}, kill {number + 1} after {moment:.2f} s: {problem}"

    def _after_one(self, moment: float, expected: set[str]) -> Iterator[str]:
        if self.killed.name == "train":
            shutil.rmtree(self.work / "run", ignore_errors=True)
        done = self.killed.lasting(self.work)
        self._kill(moment)
        done = done if self.killed.name != "train" else self.killed.lasting(self.work)
        if strays := self._processes():
            yield f"still running: {strays}"
        again = (
            (*self.killed.arguments, "--resume") if (self.work / "run/run.json").is_file() else self.killed.arguments
        )
        finished = self._run(again)
        if finished.returncode != 0:
            yield f"the next run exits with {finished.returncode}: {finished.stderr[-300:]}"
        if lost := [one for one in done if one not in self.killed.lasting(self.work)]:
            yield f"{len(lost)} of {len(done)} reported results are lost"
        if left := self._left() - expected:
            yield f"left: {sorted(left)[:5]}"

    def _kill(self, moment: float) -> None:
        process = subprocess.Popen(
            self.killed.arguments,
            cwd=self.work,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()

    def _processes(self) -> list[str]:
        """What the killed command had started and has not ended by itself after a while."""
        deadline = time.monotonic() + _ENDS_S
        while (found := list(self._tagged())) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _tagged(self) -> Iterator[str]:
        tag = f"{_TAG}={self.folder}".encode()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if tag in (path / "environ").read_bytes().split(b"\0"):
                    yield (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:80]
            except OSError:
                continue

    def _left(self) -> set[str]:
        """Temporary files, and what is in the folder of the command and of the device, without numbers of versions."""
        staged = (
            path for path in (self.folder / "cache").rglob("*") if path.name.startswith((".new", ".out", ".part"))
        )
        # Files that a device keeps by their checksum are shared by all versions.
        own = (path for path in self.work.rglob("*") if "versions" not in path.parts)
        return {str(path) for path in (*(self.folder / "tmp").iterdir(), *staged, *own)}

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, cwd=self.work, env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )

    def _succeeds(self, arguments: tuple[str, ...]) -> None:
        done = self._run(arguments)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments} exits with {done.returncode}: {done.stderr[-1000:]}")


def main() -> int:
    """Print each problem, and how many kills there were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", choices=[*COMMANDS, []], help="Which commands; all if none is given.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = 0
    for name in options.commands or COMMANDS:
        with temporary_folder("edgekit-kills-") as folder:
            problems = []
            for problem in Trial(COMMANDS[name], Path(folder), options.seed).problems(options.kills):
                problems.append(problem)
                print(problem, flush=True)
        print(f"{name}: {options.kills} kills, {len(problems)} problems", flush=True)
        found += len(problems)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
