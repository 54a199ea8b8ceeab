"""Facts of this machine: what a number was measured under. `python -m edgekit.runtime.facts` prints them as JSON."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from edgekit.core.facts import Facts
from edgekit.runtime.gpu import read_gpus

T = TypeVar("T")

# The instruction sets that kernels and recipes are chosen by, as /proc/cpuinfo spells them.
X86_FEATURES: Final = frozenset(
    f"{prefix}{name}"
    for prefix, names in {
        "": ("sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c"),
        "avx512": ("f", "bw", "dq", "vl", "_vnni", "_bf16", "_fp16"),
        "avx_": ("vnni", "vnni_int8"),
        "amx_": ("tile", "int8", "bf16"),
    }.items()
    for name in names
)
ARM_FEATURES: Final = frozenset(
    ("neon", "asimd", "asimddp", "asimdhp", "asimdfhm", "fphp", "i8mm", "bf16", "sve", "sve2", "svei8mm", "sme")
)
# Arm's part numbers (implementer 0x41) of boards that people run models on.
ARM_PARTS: Final = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd49": "Neoverse-N2",
    "0xc07": "Cortex-A7",
    "0xc08": "Cortex-A8",
    "0xc09": "Cortex-A9",
    "0xc0f": "Cortex-A15",
}
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64", "i686": "i386"}
_ARM: Final = frozenset({"aarch64", "armv7l", "armv8l", "armv6l", "arm"})
_CPU_SENSORS: Final = ("cpu", "soc", "pkg", "core", "k10temp", "zenpower", "tctl")
# vcgencmd get_throttled: under-voltage, frequency capped, throttled, soft temperature limit, each now.
_THROTTLED_NOW: Final = 0b1111
ENGINES: Final = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-webgpu",
    "onnxruntime-qnn",
    "ai-edge-litert",
    "tflite-runtime",
    "openvino",
)


class _Missing(Exception):
    """Why a fact could not be read."""


def read_facts(
    root: Path = Path("/"), *, machine: str | None = None, environ: Mapping[str, str] | None = None
) -> Facts:
    """What is known of this machine now.

    Args:
        root: Where /proc and /sys are; tests pass a folder of their own.
        machine: Name of the architecture; this machine's unless given.
        environ: The environment; this process's unless given.
    """
    architecture = _normal(machine or platform.machine())
    cpuinfo = _optional(root / "proc/cpuinfo")
    readers: dict[str, Callable[[], Any]] = {
        "cpu": partial(_cpu, root, cpuinfo),
        "cores": partial(_cores, root, cpuinfo),
        "memory_bytes": partial(_memory, root),
        "governor": partial(_governor, root),
        "clock_hz": partial(_clock, root, cpuinfo),
        "temperature_c": partial(_temperature, root),
        "throttled": partial(_throttled, root),
        "load": partial(_load, root),
    }
    missing: dict[str, str] = {}
    found = {name: _attempt(reader, name, missing) for name, reader in readers.items()}
    return Facts(
        system=_system(root),
        architecture=architecture,
        features=_features(architecture, cpuinfo),
        emulated=is_emulated(root, architecture, os.environ if environ is None else environ),
        engines=_engines(),
        missing=missing,
        **found,  # type: ignore[arg-type] # each value comes from the reader made for its field
    )


def is_emulated(root: Path, architecture: str, environ: Mapping[str, str]) -> bool:
    """True when the processor that this program sees is software: no duration is one of a real device then."""
    kernel = _normal(_optional(root / "proc/sys/kernel/arch").strip())
    if kernel and _family(kernel) != _family(architecture):
        return True  # qemu-user: the kernel is the host's
    if any(name.startswith("QEMU_") for name in environ):
        return True
    if "linux,dummy-virt" in _optional(root / "proc/device-tree/compatible"):
        return True  # qemu-system-aarch64 -M virt
    return "QEMU TCG" in _optional(root / "proc/cpuinfo")


def _attempt(reader: Callable[[], T], name: str, missing: dict[str, str]) -> T | None:
    try:
        return reader()
    except _Missing as err:
        missing[name] = str(err)
    except (OSError, ValueError, IndexError) as err:
        missing[name] = f"{type(err).__name__}: {err}"
    return None


def _cpu(root: Path, cpuinfo: str) -> str:
    board = _optional(root / "proc/device-tree/model").strip("\0 \n")
    core = _field(cpuinfo, "model name") or _arm_core(cpuinfo)
    if board and core:
        return f"{board} ({core})"
    if board or core:
        return board or core
    if root == Path("/") and platform.processor():
        return platform.processor()
    raise _Missing("neither /proc/cpuinfo nor the device tree names it")


def _arm_core(cpuinfo: str) -> str:
    parts = dict.fromkeys(re.findall(r"^CPU part\s*:\s*(\w+)", cpuinfo, re.MULTILINE))
    return " + ".join(ARM_PARTS.get(part, f"Arm part {part}") for part in parts)


def _cores(root: Path, cpuinfo: str) -> int:
    if root == Path("/") and hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    count = len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or (os.cpu_count() if root == Path("/") else 0)
    if not count:
        raise _Missing("/proc/cpuinfo lists none")
    return count


def _features(architecture: str, cpuinfo: str) -> tuple[str, ...]:
    line = _field(cpuinfo, "flags") or _field(cpuinfo, "Features")
    return (architecture, *sorted(set(line.split()) & (X86_FEATURES | ARM_FEATURES)))


def _memory(root: Path) -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", _required(root / "proc/meminfo"), re.MULTILINE)
    if not match:
        raise _Missing("/proc/meminfo has no MemTotal")
    return int(match[1]) * 1024


def _governor(root: Path) -> str:
    governors = {file.read_text().strip() for file in _policies(root, "scaling_governor")}
    if not governors:
        raise _Missing("no cpufreq in /sys: a virtual machine, or a fixed clock")
    return "+".join(sorted(governors))


def _clock(root: Path, cpuinfo: str) -> float:
    """The fastest core's clock."""
    kilohertz = [float(file.read_text()) for file in _policies(root, "scaling_cur_freq")]
    megahertz = [float(text) for text in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", cpuinfo, re.MULTILINE)]
    if not kilohertz and not megahertz:
        raise _Missing("neither cpufreq in /sys nor /proc/cpuinfo tells it")
    return max(kilohertz) * 1e3 if kilohertz else max(megahertz) * 1e6


def _temperature(root: Path) -> float:
    """The hottest sensor of the processor, or of the machine where none is called so."""
    zones = [(_optional(zone / "type"), zone / "temp") for zone in sorted(root.glob("sys/class/thermal/thermal_zone*"))]
    chips = [(_optional(chip / "name"), chip / "temp1_input") for chip in sorted(root.glob("sys/class/hwmon/hwmon*"))]
    sensors = [(name.strip().lower(), file) for name, file in (*zones, *chips) if file.is_file()]
    ours = [file for name, file in sensors if any(part in name for part in _CPU_SENSORS)]
    read = [int(text) / 1000 for file in ours or [file for _, file in sensors] if (text := _optional(file).strip())]
    if not read:
        raise _Missing("no readable sensor in /sys/class/thermal or /sys/class/hwmon")
    return max(read)


def _throttled(root: Path) -> bool:
    """Whether the firmware slows the processor down now."""
    program = shutil.which("vcgencmd") if root == Path("/") else str(root / "usr/bin/vcgencmd")
    if program is None or not Path(program).is_file():
        raise _Missing("no vcgencmd; this machine does not say it")
    done = subprocess.run([program, "get_throttled"], capture_output=True, text=True, timeout=5, check=False)
    match = re.fullmatch(r"throttled=0x([0-9a-fA-F]+)", done.stdout.strip())
    if not match:
        raise _Missing(f"vcgencmd said '{(done.stdout or done.stderr).strip()}'")
    return bool(int(match[1], 16) & _THROTTLED_NOW)


def _load(root: Path) -> float:
    return float(_required(root / "proc/loadavg").split()[0])


def _system(root: Path) -> str:
    release = _optional(root / "etc/os-release")
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', release, re.MULTILINE)
    return name[1] if name else platform.system()


def _engines() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ENGINES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _policies(root: Path, name: str) -> Iterable[Path]:
    return sorted(root.glob(f"sys/devices/system/cpu/cpufreq/policy*/{name}")) or sorted(
        root.glob(f"sys/devices/system/cpu/cpu[0-9]*/cpufreq/{name}")
    )


def _normal(machine: str) -> str:
    return _ARCHITECTURES.get(machine.lower(), machine.lower())


def _family(architecture: str) -> str:
    if architecture in _ARM:
        return "arm"
    return "x86" if architecture in ("x86_64", "i386") else architecture


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def _required(path: Path) -> str:
    text = _optional(path)
    if not text:
        raise _Missing(f"cannot read /{'/'.join(path.parts[-2:])}")
    return text


def _optional(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def main() -> int:
    """Print the facts of this machine as one line of JSON."""
    facts = msgspec.structs.replace(read_facts(), gpus=read_gpus())
    sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
