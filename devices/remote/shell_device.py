"""A Device on a Shell: what ssh and adb have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from edgekit.core import machine
from edgekit.core.errors import DeviceError
from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.core.target import SIGNATURE, refuse_unknown_options
from edgekit.devices.remote.facts import read_texts
from edgekit.devices.remote.launches import count, measure
from edgekit.devices.remote.runners import NativeRunner, PythonRunner, Runner, suits_native
from edgekit.devices.remote.shell import Shell

_ARM_32: Final = "armv7l"
_BACKENDS: Final = {"onnx": "onnxruntime", "tflite": "litert"}


@dataclass(frozen=True)
class Runners:
    """The runners that can be sent to a device: the Python file, and the C program by architecture."""

    python: Path
    native: Mapping[str, Path]


@dataclass(frozen=True)
class _Runtime:
    """What can run a job on the device: its architecture, files of ONNX Runtime's library, packages in Python."""

    architecture: str
    files: list[str]
    engines: set[str]


class ShellDevice:
    """A device reached through a Shell, which it owns.

    Args:
        runners: The programs that can be sent there.
        emulated: True if times on it are not the latency of any device.
        counter: The command on the device that counts instructions, or empty.
        timeout_s: Time limit of one launch.
    """

    def __init__(
        self,
        shell: Shell,
        runners: Runners,
        *,
        emulated: bool = False,
        counter: str = "",
        timeout_s: float = 300.0,
    ) -> None:
        self.name = shell.name
        self.emulated = emulated
        self.shell = shell
        self._counter = counter
        self._runners = runners
        self._runtime: _Runtime | None = None
        self._texts: machine.Texts = {}
        self._timeout_s = timeout_s
        self._throttled_before: int | None = None

    def facts(self) -> Facts:
        """The current facts about the device; throttling before the first call does not count."""
        self._texts = texts = read_texts(self.shell)
        if self._throttled_before is None:
            self._throttled_before = machine.throttling_bits(texts) or 0
        facts = machine.facts(texts, throttled_before=self._throttled_before)
        self.emulated = self.emulated or facts.emulated
        self._runtime = _Runtime(machine.architecture(texts), texts.get("native", "").split(), set(facts.engines))
        return facts

    def measure(self, job: Job) -> JobResult:
        """Run one launch; errors as in `Device.measure`."""
        job = self._fitted(job)
        backend = job.backend or _BACKENDS.get(job.format, "")
        refuse_unknown_options([name for name in job.options if name != SIGNATURE], backend)
        runner = self._runner(job)
        result = measure(self.shell, job, runner, timeout_s=self._timeout_s, texts=self._texts)
        if not self.emulated:
            return result
        note = "peak memory is not reported: under emulation it would include the emulator"
        return msgspec.structs.replace(result, peak_memory_bytes=None, notes=(*result.notes, note))

    def count(self, job: Job) -> tuple[int, ...]:
        """Instructions per inference on one thread; empty if the device has no counter."""
        if not self._counter or job.options.get("threads", "1") != "1":
            return ()
        job = self._fitted(job)
        return count(self.shell, job, self._runner(job), self._counter, timeout_s=self._timeout_s)

    def _fitted(self, job: Job) -> Job:
        """`job` with the backend for its format that the device has.

        Raises:
            DeviceError: There is none for the architecture.
        """
        found = self._there()
        if found.architecture == _ARM_32 and (job.format == "onnx" or job.backend == "litert"):
            missing = "ONNX Runtime" if job.format == "onnx" else "LiteRT"
            raise DeviceError(
                f"'{self.name}' is a 32-bit system ({_ARM_32}), for which there is no {missing}: it runs .tflite with "
                "tflite-runtime.",
                hint=f"edgekit profile BUNDLE --target {self.name} --artifact tflite-fp32",
            )
        is_old = "tflite-runtime" in found.engines and "ai-edge-litert" not in found.engines
        if is_old and job.format == "tflite" and not job.backend:
            return msgspec.structs.replace(job, backend="tflite-runtime")
        return job

    def _there(self) -> _Runtime:
        if self._runtime is None:
            self.facts()
        assert self._runtime is not None
        return self._runtime

    def _runner(self, job: Job) -> Runner:
        """The C program where the job and what is on the device allow it, else the Python file."""
        found = self._there()
        architecture, files = found.architecture, found.files
        library = next((file for file in files if Path(file).name.startswith("libonnxruntime.so")), "")
        if not (library and suits_native(job) and architecture in self._runners.native):
            return PythonRunner(self._runners.python)
        loader = next((file for file in files if Path(file).name.startswith("ld-linux")), "")
        return NativeRunner(self._runners.native[architecture], library, loader)

    def inability(self, job: Job) -> str:
        """Why the device cannot run `job`, as a sentence; empty if it may.

        Raises:
            DeviceError: It cannot, and the hint says what it can run; or as in `facts`.
        """
        if isinstance(self._runner(self._fitted(job)), NativeRunner) or self._has_python():
            return ""
        if any(Path(file).name.startswith("libonnxruntime.so") for file in self._there().files):
            raise DeviceError(
                f"'{self.name}' runs .onnx on the CPU only: it has no Python.",
                hint=f"edgekit profile BUNDLE --target {self.name} --artifact onnx-fp32",
            )
        return f"'{self.name}' has no backend and no Python for {self._there().architecture}."

    def _has_python(self) -> bool:
        return bool(self._texts.get("python"))

    def close(self) -> None:
        """Close the connection."""
        self.shell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
