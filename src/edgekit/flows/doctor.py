"""`edgekit doctor`: problems of this machine, and the commands that fix them."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Final

from edgekit.core.reports.setup.doctor import DoctorReport, Finding, State
from edgekit.core.system.durable import owners
from edgekit.core.system.durable.claims import clear_claims
from edgekit.core.system.installation import (
    DISTRIBUTION,
    origin,
    others,
    pip_install,
    requirement,
    requirements,
    system_install,
)
from edgekit.core.system.registry import Registry
from edgekit.core.system.settings import Settings
from edgekit.core.system.version import VERSION
from edgekit.core.units import format_value

LOW_DISK_BYTES: Final = 2_000_000_000
FULL_DISK_BYTES: Final = 200_000_000
PROBE_TIMEOUT_S: Final = 60.0

# Engines: module, and what its probe prints of it, by distribution.
ENGINES: Final = {
    "onnxruntime": ("onnxruntime", "get_available_providers()"),
    "onnxruntime-gpu": ("onnxruntime", "get_available_providers()"),
    "ai-edge-litert": ("ai_edge_litert.interpreter", "[]"),
    "tflite-runtime": ("tflite_runtime.interpreter", "[]"),
}
# All that provide the module `onnxruntime`: the one installed last overwrites the others' files.
ONNXRUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
# Packages, and what they are for.
PACKAGES: Final = {
    "torch": "to load, train and export models",
    "onnx": "to export ONNX",
    "onnxslim": "to export ONNX",
    "litert-torch": "to export TFLite",
    "ai-edge-quantizer": "to quantize TFLite",
    "scikit-learn": "for the dataset of digits",
    "lightning-fabric": "to train",
}
# Programs, what they are for, and the Debian package that brings them.
PROGRAMS: Final = {
    "ssh": ("devices over SSH", "openssh-client"),
    "adb": ("phones on a cable", "adb"),
    "chromium": ("the browser stand-in of a phone", "chromium"),
    "qemu-aarch64-static": ("the stand-in of a Raspberry Pi", "qemu-user-static"),
}


def probe_module(module: str, expression: str) -> list[str] | str:
    """The value of `expression` of `module` in a separate process, or why the module cannot be imported.

    A backend may crash on an unknown processor; the doctor must survive that.
    """
    code = f"import json, {module} as module; print(json.dumps({_of_module(expression)}))"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return f"{type(err).__name__}: {err}"
    if done.returncode == 0:
        values: list[str] = json.loads(done.stdout.splitlines()[-1])  # the engine may have printed before it
        return values
    return (done.stderr.strip().splitlines() or [f"it exited with code {done.returncode}"])[-1]


def _of_module(expression: str) -> str:
    return expression if expression.startswith("[") else f"module.{expression}"


def _installed() -> dict[str, str]:
    return {
        str(one.name).lower().replace("_", "-"): one.version for one in metadata.distributions() if one.name is not None
    }


@dataclass(frozen=True)
class Machine:
    """What the doctor examines; tests pass a different one. `root` is the folder that contains /sys and /proc."""

    settings: Settings = Settings()
    root: Path = Path("/")
    pointer_bits: int = 8 * struct.calcsize("P")
    architecture: str = platform.machine()
    cores: int = os.cpu_count() or 1
    read_packages: Callable[[], Mapping[str, str]] = _installed
    read_others: Callable[[], Iterable[tuple[metadata.Distribution, bool]]] = others
    probe: Callable[[str, str], list[str] | str] = probe_module
    which: Callable[[str], str | None] = shutil.which
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free

    @cached_property
    def packages(self) -> Mapping[str, str]:
        """Version by distribution name, lower case with dashes."""
        return self.read_packages()


def diagnose(machine: Machine | None = None, *, settings: Settings = Settings(), clean: bool = False) -> DoctorReport:
    """Check Python, packages, backends, programs, disk and clock of this machine.

    Args:
        clean: Remove what killed commands left; nothing else is ever changed.
    """
    machine = machine or Machine(settings)
    places = tuple(_places(machine.settings)) if clean else ()
    removed, left = owners.clean(places)
    removed += tuple(claim for place in places for claim in clear_claims(place))
    return DoctorReport(
        findings=tuple(finding for check in CHECKS for finding in check(machine)),
        removed=tuple(map(str, removed)),
        left=tuple(map(str, left)),
    )


def _places(settings: Settings) -> Iterator[Path]:
    """Folders in which commands make temporary files: that for them, this one, and those of the cache."""
    from edgekit.flows.opening.cache import cache_folder

    cache = cache_folder(settings)
    yield from (*_temporary(), Path.cwd(), cache)
    yield from (path for pattern in ("*", "*/*", "*/*/*") for path in cache.glob(pattern) if path.is_dir())


def _temporary() -> Iterator[Path]:
    """The folder for temporary files, if there is one that can be written to."""
    with contextlib.suppress(FileNotFoundError):
        yield Path(tempfile.gettempdir())


def _python(machine: Machine) -> Iterator[Finding]:
    text = f"{platform.python_implementation()} {platform.python_version()}, {machine.architecture}, {sys.platform}"
    yield Finding("edgekit", State.OK, VERSION)
    yield Finding("python", State.OK, text)
    if machine.pointer_bits < 64:
        text = (
            f"the userland is {machine.pointer_bits}-bit: ONNX Runtime and LiteRT have no packages for it, "
            "only tflite-runtime 2.14 supports it, with Python 3.11 or older"
        )
        yield Finding("userland", State.PROBLEM, text, "getconf LONG_BIT   # 64 after installing a 64-bit system")


def _others(machine: Machine) -> Iterator[Finding]:
    """Distributions called `edgekit`: they write to the folder of this one, and pip upgrades them to a stranger's."""
    mend = f"pip uninstall -y edgekit {DISTRIBUTION} && {origin().install}"
    for found, is_earlier in machine.read_others():
        if is_earlier:
            text = f"edgekit {found.version} is this project under its earlier name, which is another project's on PyPI"
            yield Finding(DISTRIBUTION, State.WARNING, text, mend)
        else:
            text = (
                f"edgekit {found.version} is a package of another project ({found.metadata['Summary']}): "
                f"both own the folder 'edgekit', so one may have overwritten files of the other"
            )
            yield Finding(DISTRIBUTION, State.PROBLEM, text, mend)


def _engines(machine: Machine) -> Iterator[Finding]:
    present = [name for name in ENGINES if name in machine.packages]
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda name: machine.probe(*ENGINES[name]), present))
    for name, answer in zip(present, answers, strict=True):
        version = machine.packages[name]
        if isinstance(answer, str):
            yield Finding(
                name, State.PROBLEM, f"{version} does not import: {answer}", f"pip install --force-reinstall {name}"
            )
        else:
            yield Finding(name, State.OK, f"{version} {' '.join(answer)}".strip())
            yield from _gpu(name, answer)
    if not present:
        yield Finding(
            "backend",
            State.PROBLEM,
            "no backend is installed, so no model can run",
            pip_install(requirements("cpu")),
        )


def _gpu(name: str, providers: list[str]) -> Iterator[Finding]:
    if name == "onnxruntime-gpu" and "CUDAExecutionProvider" not in providers:
        text = "onnxruntime-gpu is installed but has no CUDAExecutionProvider"
        yield Finding("cuda", State.PROBLEM, text, "pip install --force-reinstall onnxruntime-gpu")


def _clashes(machine: Machine) -> Iterator[Finding]:
    runtimes = [name for name in ONNXRUNTIMES if name in machine.packages]
    if len(runtimes) > 1:
        wanted = "gpu" if "onnxruntime-gpu" in runtimes else "cpu"
        mend = f"pip uninstall -y {' '.join(runtimes)} && {pip_install(requirements(wanted))}"
        text = f"{' and '.join(runtimes)} overwrite each other's files"
        yield Finding("onnxruntime", State.PROBLEM, text, mend)
    numpy = machine.packages.get("numpy", "0")
    if "tflite-runtime" in machine.packages and int(numpy.split(".")[0]) >= 2:
        text = f"tflite-runtime {machine.packages['tflite-runtime']} needs numpy 1, numpy {numpy} is installed"
        yield Finding("numpy", State.PROBLEM, text, 'pip install "numpy<2"')


def _packages(machine: Machine) -> Iterator[Finding]:
    for name, purpose in PACKAGES.items():
        version = machine.packages.get(name)
        mend = "" if version else pip_install([requirement(name)])
        yield Finding(name, State.OK, version or f"not installed; needed {purpose}", mend)


def _programs(machine: Machine) -> Iterator[Finding]:
    for name, (purpose, package) in PROGRAMS.items():
        path = machine.which(name)
        mend = "" if path else system_install(package)
        yield Finding(name, State.OK, path or f"not installed; needed for {purpose}", mend)


def _plugins(machine: Machine) -> Iterator[Finding]:
    from edgekit.devices.device import DEVICES
    from edgekit.runtime.backend import BACKENDS
    from edgekit.train.data.registry import DATASETS
    from edgekit.train.registry import MODELS

    registries: tuple[Registry, ...] = (MODELS, DATASETS, BACKENDS, DEVICES)
    for registry in registries:
        for name in registry.plugins.keys() - registry.table.keys():
            if problem := registry.problem(name):
                yield Finding("plug-in", State.WARNING, problem, f"pip uninstall {_package(registry, name)}")


def _package(registry: Registry, name: str) -> str:
    """The distribution that brings the entry point called `name`."""
    entries = metadata.entry_points(group=registry.group, name=name)
    return next((entry.dist.name for entry in entries if entry.dist is not None), name)


def _governor(machine: Machine) -> Iterator[Finding]:
    files = sorted(machine.root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
    governors = sorted({file.read_text().strip() for file in files})
    if not governors:
        yield Finding("governor", State.OK, "cannot be read here; this lowers the trust in latencies")
    elif governors == ["performance"]:
        yield Finding("governor", State.OK, "performance")
    else:
        mend = "sudo cpupower frequency-set --governor performance"
        yield Finding("governor", State.WARNING, f"{', '.join(governors)}: the clock follows the load", mend)


def _load(machine: Machine) -> Iterator[Finding]:
    file = machine.root / "proc/loadavg"
    if not file.is_file():
        return
    load = float(file.read_text().split()[0])
    text = f"{load:.2f} on {machine.cores} cores"
    if load > machine.cores / 2:
        yield Finding("load", State.WARNING, f"{text}: other programs disturb measurements", "top")
    else:
        yield Finding("load", State.OK, text)


def _disk(machine: Machine) -> Iterator[Finding]:
    from edgekit.flows.opening.cache import conversion_cache

    temporary = [("temporary", path) for path in _temporary()]
    if not temporary:
        yield Finding("temporary folder", State.PROBLEM, "none can be written to", "df -h /tmp; ulimit -f")
    for name, path in (("cache", conversion_cache(machine.settings)), *temporary):
        place = next(folder for folder in (path, *path.parents) if folder.exists())
        free = machine.free_bytes(place)
        state = State.PROBLEM if free < FULL_DISK_BYTES else State.WARNING if free < LOW_DISK_BYTES else State.OK
        mend = "" if state is State.OK else f"df -h {place}"
        yield Finding(f"{name} folder", state, f"{path}, {format_value(free, 'bytes')} free", mend)
        if not os.access(place, os.W_OK):
            yield Finding(f"{name} folder", State.PROBLEM, f"'{place}' is not writable", f"ls -ld {place}")


def _telemetry(machine: Machine) -> Iterator[Finding]:
    value = os.environ.get("ORT_DISABLE_TELEMETRY", "")
    if value == "1":
        yield Finding("telemetry", State.OK, "off: edgekit sends no data, and disables the telemetry of ONNX Runtime")
    else:
        text = f"ORT_DISABLE_TELEMETRY is '{value}': ONNX Runtime may send usage data"
        yield Finding("telemetry", State.WARNING, text, "unset ORT_DISABLE_TELEMETRY")


CHECKS: Final[tuple[Callable[[Machine], Iterable[Finding]], ...]] = (
    _python,
    _others,
    _engines,
    _clashes,
    _packages,
    _programs,
    _plugins,
    _telemetry,
    _disk,
    _governor,
    _load,
)
