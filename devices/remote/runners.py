"""Runners: the programs that are sent to a device to run one launch, and how each is started."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import msgspec

from edgekit.core.errors import UserError, unknown
from edgekit.core.job import Job
from edgekit.core.samples import read_arrays, write_arrays
from edgekit.core.system.files import sha256_file, write_atomic
from edgekit.devices.remote.array_records import packed, unpacked

# A launch runs in edgekit's folder on the device, two levels down.
_UP: Final = "../.."
_GRAPH_LEVELS: Final = {"disable": 0, "basic": 1, "extended": 2, "all": 99}


@dataclass(frozen=True)
class Staged:
    """What a launch needs on the device: files by their sha256, and the command line; `job` becomes `job.json`.

    `memory_bytes` is how much memory the runner may take there, where the device can limit it; 0 for no limit.
    """

    files: dict[str, Path]
    command: str
    job: Job
    settings: tuple[str, ...] = field(default=())
    memory_bytes: int = 0


class Runner(Protocol):
    """A program that runs one launch and prints its result; requested outputs are written to the file `outputs`."""

    def stage(self, job: Job, folder: Path) -> Staged:
        """What `job` needs on the device; files made for it are written to `folder`."""

    def store(self, outputs: bytes, path: Path) -> None:
        """Write the received outputs as .npz."""


@dataclass(frozen=True)
class PythonRunner:
    """The runner that is a Python file; for every backend installed in Python on the device."""

    file: Path

    def stage(self, job: Job, folder: Path) -> Staged:
        """The file, the artifact and the feeds, unchanged."""
        feeds, runner = sha256_file(Path(job.feeds)), sha256_file(self.file)
        files = {job.sha256: Path(job.artifact), feeds: Path(job.feeds), runner: self.file}
        there = msgspec.structs.replace(
            job,
            artifact=f"{_UP}/blobs/{job.sha256}",
            feeds=f"{_UP}/blobs/{feeds}",
            outputs="outputs" if job.outputs else "",
        )
        settings = (f'[ -d {_UP}/site ] && export PYTHONPATH="$PWD/{_UP}/site"',)
        return Staged(files, f"python3 {_UP}/blobs/{runner} job.json", there, settings)

    def store(self, outputs: bytes, path: Path) -> None:
        """Write them unchanged."""
        write_atomic(path, outputs)


@dataclass(frozen=True)
class NativeRunner:
    """The runner that is a C program; for .onnx on the CPU, works without Python.

    Args:
        file: The program for the device's architecture.
        library: ONNX Runtime on the device, inside edgekit's folder.
        loader: The dynamic loader next to `library`, if the device has no glibc of its own.
    """

    file: Path
    library: str
    loader: str = ""

    def stage(self, job: Job, folder: Path) -> Staged:
        """The program, the artifact, and the feeds as raw numbers."""
        plain = folder / "feeds"
        plain.write_bytes(packed(read_arrays(Path(job.feeds), UserError)))
        feeds, runner = sha256_file(plain), sha256_file(self.file)
        files = {job.sha256: Path(job.artifact), feeds: plain, runner: self.file}
        program = f"{_UP}/blobs/{runner}"
        words = [*self._started(program), *self._options(job), f"{_UP}/blobs/{job.sha256}", f"{_UP}/blobs/{feeds}"]
        started = [program, *([f"{_UP}/{self.loader}"] if self.loader else [])]
        return Staged(files, shlex.join(words), job, (f"chmod 700 {' '.join(started)}",))

    def store(self, outputs: bytes, path: Path) -> None:
        """Write raw numbers as .npz."""
        write_arrays(path, unpacked(outputs))

    def _started(self, program: str) -> list[str]:
        if not self.loader:
            return [program]
        folder = str(Path(self.library).parent)
        return [f"{_UP}/{self.loader}", "--library-path", f"{_UP}/{folder}", program]

    def _options(self, job: Job) -> list[str]:
        options = {
            "-l": f"{_UP}/{self.library}",
            "-t": job.options.get("threads", "1"),
            "-g": str(_level(job.options.get("graph", "all"))),
            "-s": job.options.get("spin", ""),
            "-T": f"{job.time_limit_s:g}",
            "-n": str(job.min_values),
            "-x": str(job.max_values),
            "-o": "outputs" if job.outputs else "",
        }
        return [word for name, value in options.items() if value for word in (name, value)]


def _level(graph: str) -> int:
    if graph not in _GRAPH_LEVELS:
        raise unknown("value of option 'graph'", graph, _GRAPH_LEVELS)
    return _GRAPH_LEVELS[graph]


def suits_native(job: Job) -> bool:
    """True for jobs that the C program supports: .onnx on the CPU."""
    return job.format == "onnx" and job.backend in ("", "onnxruntime") and job.options.get("provider", "cpu") == "cpu"
