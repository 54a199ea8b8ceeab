"""Parses the Facts of a machine from texts that were read on it; it may be this machine or another one.

Both readers read `FILES` and run `COMMANDS`. They add `uname` (system and machine, one line each), `bits` (of
programs), `cores` (that a program may use), `qemu` (`QEMU_` variables), `site` (installed packages, one
`NAME-VERSION.dist-info` per line), `native` (files of the native runner) and, if known, `processor`, `python` (the
path of `python3`) and `nvidia-smi` (the output of `GPU_QUERY`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final, TypeVar

from edgekit.core.facts import Facts, Gpu
from edgekit.core.processors.arm_parts import ARM_PARTS
from edgekit.core.processors.instruction_sets import FEATURES

T = TypeVar("T")
Texts = Mapping[str, str]
"""Texts by file or query; what a machine does not have is absent."""

_CPUS: Final = "/sys/devices/system/cpu"
# Patterns of files that change from moment to moment; of several in one row, the first that matches any is read.
STATE_FILES: Final = (
    ("/proc/loadavg",),
    (f"{_CPUS}/cpufreq/policy*/scaling_governor", f"{_CPUS}/cpu[0-9]*/cpufreq/scaling_governor"),
    (f"{_CPUS}/cpufreq/policy*/scaling_cur_freq", f"{_CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq"),
    ("/sys/class/thermal/thermal_zone*/type",),
    ("/sys/class/thermal/thermal_zone*/temp",),
    ("/sys/class/hwmon/hwmon*/name",),
    ("/sys/class/hwmon/hwmon*/temp1_input",),
)
FILES: Final = (
    ("/proc/cpuinfo",),
    ("/proc/meminfo",),
    ("/proc/device-tree/model",),
    ("/proc/device-tree/compatible",),
    ("/proc/sys/kernel/arch",),
    ("/proc/sys/fs/binfmt_misc/*",),
    ("/etc/os-release",),
    *STATE_FILES,
)
# Commands whose outputs, together, are the text of a name; run if the program exists.
STATE_COMMANDS: Final = {"throttled": ("vcgencmd get_throttled",), "thermal": ("dumpsys thermalservice",)}
COMMANDS: Final = {
    **STATE_COMMANDS,
    "android": ("getprop ro.build.version.release",),
    "phone": ("getprop ro.product.model", "getprop ro.soc.model"),
    "ro.kernel.qemu": ("getprop ro.kernel.qemu", "getprop ro.boot.qemu"),
}
_GPU_FIELDS: Final = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,temperature.gpu"
GPU_QUERY: Final = f"nvidia-smi --query-gpu={_GPU_FIELDS} --format=csv,noheader,nounits"

# A 32-bit program on a 64-bit kernel is told `armv8l`.
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64", "i686": "i386", "armv8l": "armv7l"}
_32_BIT: Final = {"aarch64": "armv7l", "x86_64": "i386"}
# The ELF machine number of an architecture, as binfmt_misc handlers spell it: bytes 18 and 19 of the file.
_ELF_MACHINES: Final = {"aarch64": "b700", "x86_64": "3e00", "armv7l": "2800"}
# A sensor's value, and the file next to it that says what it measures.
_SENSORS: Final = {"temp": "type", "temp1_input": "name"}
_CPU_SENSOR: Final = re.compile(r"cpu|soc|core|pkg|k10temp|zenpower|tctl|tsens", re.IGNORECASE)
# vcgencmd get_throttled: under-voltage, frequency capped, throttled, soft temperature limit; now, and since boot.
_NOW_BITS: Final = 0xF
_SINCE_BOOT_BITS: Final = 0xF0000
# Android's thermal status: 2 is moderate, the first that throttles.
_THROTTLING_STATUS: Final = 2
# No clock, temperature or load is as large.
_MOST: Final = 1e12
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


def facts(texts: Texts, *, throttled_before: int | None = None) -> Facts:
    """The facts of a machine, parsed from its texts.

    Args:
        throttled_before: The Pi's throttling bits at an earlier time: throttling since then counts as current.
    """
    machine = architecture(texts)
    readers: dict[str, Callable[[], Any]] = {
        "cpu": partial(_cpu, texts),
        "cores": partial(_cores, texts),
        "memory_bytes": partial(_memory, texts),
        "governor": partial(_governor, texts),
        "clock_hz": partial(_clock, texts),
        "temperature_c": partial(_temperature, texts),
        "throttled": partial(_throttled, texts, throttled_before),
        "load": partial(_load, texts),
    }
    missing: dict[str, str] = {}
    found = {name: _attempt(reader, name, missing) for name, reader in readers.items()}
    return Facts(
        system=_system(texts),
        architecture=machine,
        features=(machine, *_features(texts)),
        emulated=is_emulated(texts),
        engines=dict(_engines(texts)),
        missing=missing,
        gpus=gpus(texts.get("nvidia-smi", "")),
        sensors=_sensors(texts),
        clocks=_clocks(texts),
        **found,
    )


def at(texts: Texts, state: Texts) -> dict[str, str]:
    """The texts of a machine at the moment at which `state` was read: only what `STATE_FILES` and commands gave."""
    lasting = {name: text for name, text in texts.items() if not _is_state(name)}
    return {**lasting, **{name: text for name, text in state.items() if _is_state(name)}}


def _is_state(name: str) -> bool:
    return name in STATE_COMMANDS or any(fnmatchcase(name, pattern) for row in STATE_FILES for pattern in row)


def architecture(texts: Texts) -> str:
    """The architecture of programs: 32-bit if the system is, even on a 64-bit kernel."""
    machine = _normal((_lines(texts, "uname") or [""])[-1])
    return _32_BIT.get(machine, machine) if texts.get("bits", "").strip() == "32" else machine


def throttling_bits(texts: Texts) -> int | None:
    """The bits of the Pi's `vcgencmd get_throttled`: 0 to 3 for now, 16 to 19 for the time since boot."""
    match = re.search(r"throttled=0x([0-9a-fA-F]+)", texts.get("throttled", ""))
    return int(match[1], 16) if match else None


def is_emulated(texts: Texts) -> bool:
    """True if the processor is simulated in software: durations then say nothing about a real device."""
    kernel = _normal(texts.get("/proc/sys/kernel/arch", "").strip())
    if kernel and _family(kernel) != _family(architecture(texts)):
        return True  # qemu-user: the kernel is the host's
    if texts.get("qemu", "").strip() or "1" in _lines(texts, "ro.kernel.qemu"):
        return True
    if "linux,dummy-virt" in texts.get("/proc/device-tree/compatible", ""):
        return True  # qemu-system-aarch64 -M virt
    if "QEMU TCG" in texts.get("/proc/cpuinfo", ""):
        return True
    number = _ELF_MACHINES.get(architecture(texts), "-")
    handlers = [name for name in texts if name.startswith("/proc/sys/fs/binfmt_misc/")]
    return any(_handles(_lines(texts, name), number) for name in handlers)


def gpus(output: str) -> tuple[Gpu, ...]:
    """Every GPU in the output of `GPU_QUERY`; lines of another form are skipped."""
    rows = [line.split(", ") for line in output.splitlines()]
    return tuple(_gpu(row) for row in rows if len(row) == _GPU_FIELDS.count(",") + 1)


def _attempt(reader: Callable[[], T], name: str, missing: dict[str, str]) -> T | None:
    try:
        return reader()
    except _Missing as err:
        missing[name] = str(err)
    except (ValueError, IndexError) as err:
        missing[name] = f"{type(err).__name__}: {err}"
    return None


def _handles(lines: list[str], number: str) -> bool:
    """True when a binfmt_misc entry is enabled and hands programs of the ELF machine `number` to QEMU."""
    magic = next((line.split()[1] for line in lines if line.startswith("magic ")), "")
    is_qemu = any(line.startswith("interpreter ") and "qemu" in line for line in lines)
    return "enabled" in lines and is_qemu and magic.startswith("7f454c46") and magic[36:40] == number


def _system(texts: Texts) -> str:
    android = texts.get("android", "").strip()
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', texts.get("/etc/os-release", ""), re.MULTILINE)
    return f"Android {android}" if android else name[1].strip() if name else (_lines(texts, "uname") or [""])[0]


def _cpu(texts: Texts) -> str:
    """The processor's name, and the board's where it has one."""
    board = _one_line(texts, "/proc/device-tree/model") or _one_line(texts, "phone")
    # Arm first: 32-bit kernels give all processors the model name "ARMv7 Processor".
    core = _arm_cores(texts) or _field(texts, "model name")
    if board and core:
        return f"{board} ({core})"
    name = board or core or _one_line(texts, "processor")
    if not name:
        raise _Missing("neither /proc/cpuinfo nor the device tree names it")
    return name


def _arm_cores(texts: Texts) -> str:
    parts = dict.fromkeys(_fields(texts, "CPU part"))
    return " + ".join(ARM_PARTS.get(part, f"Arm part {part}") for part in parts)


def _cores(texts: Texts) -> int:
    count = int(texts.get("cores", "").strip() or len(_fields(texts, "processor")))
    if not 0 < count < _MOST:
        raise _Missing("/proc/cpuinfo lists none")
    return count


def _features(texts: Texts) -> list[str]:
    line = _field(texts, "flags") or _field(texts, "Features")
    return sorted(set(line.split()) & FEATURES)


def _memory(texts: Texts) -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", texts.get("/proc/meminfo", ""), re.MULTILINE)
    if not match:
        raise _Missing("/proc/meminfo has no MemTotal")
    return int(match[1]) * 1024


def _governor(texts: Texts) -> str:
    governors = {text.strip() for text in _policies(texts, "scaling_governor")} - {""}
    if not governors:
        raise _Missing("no cpufreq in /sys: a virtual machine, or a fixed clock")
    return "+".join(sorted(governors))


def _clock(texts: Texts) -> float:
    """The fastest core's clock."""
    clocks = _clocks(texts)
    if not clocks:
        raise _Missing("neither cpufreq in /sys nor /proc/cpuinfo has it")
    return max(clocks.values())


def _clocks(texts: Texts) -> dict[str, float]:
    """The clock of each cluster of cores (`policy4`) or core (`cpu4`), in hertz."""
    policies = {name: text for name, text in texts.items() if name.startswith(_CPUS) and name.endswith("_cur_freq")}
    kilohertz = {_core_of(name): value for name, text in policies.items() if (value := _number(text)) is not None}
    if kilohertz:
        return {name: 1e3 * value for name, value in kilohertz.items()}
    megahertz = enumerate(_fields(texts, "cpu MHz"))
    return {f"cpu{core}": 1e6 * value for core, text in megahertz if (value := _number(text)) is not None}


def _core_of(path: str) -> str:
    """`policy4` or `cpu4` in a path of cpufreq."""
    return next(part for part in reversed(path.split("/")[:-1]) if part != "cpufreq")


def _temperature(texts: Texts) -> float:
    """The hottest sensor of the processor, or of the machine where none is called so."""
    sensors = _sensors(texts)
    if not sensors:
        raise _Missing("no readable sensor in /sys/class/thermal or /sys/class/hwmon")
    return max(sensors.values())


def _sensors(texts: Texts) -> dict[str, float]:
    """Degrees Celsius by sensor: those of the processor, or all where none is called so.

    Of several with one name, each has its folder as well.
    """
    found = {}
    for name, text in texts.items():
        folder, _, file = name.rpartition("/")
        if file in _SENSORS and (value := _number(text)) is not None:
            found[folder] = texts.get(f"{folder}/{_SENSORS[file]}", "").strip(), value / 1000
    ours = {folder: pair for folder, pair in found.items() if _CPU_SENSOR.search(pair[0])} or found
    names = Counter(name for name, _ in ours.values())
    return {_sensor_name(folder, name, names[name]): celsius for folder, (name, celsius) in ours.items()}


def _sensor_name(folder: str, name: str, count: int) -> str:
    place = folder.rpartition("/")[2]
    return f"{name} ({place})" if name and count > 1 else name or place


def _throttled(texts: Texts, before: int | None) -> bool:
    """Whether the firmware slows the processor down now, or has since `before`."""
    bits = throttling_bits(texts)
    if bits is not None:
        since = 0 if before is None else bits & ~before & _SINCE_BOOT_BITS
        return bool(bits & _NOW_BITS or since)
    status = re.search(r"^\s*Thermal Status:\s*(\d+)", texts.get("thermal", ""), re.MULTILINE)
    if status:
        return int(status[1]) >= _THROTTLING_STATUS
    said = _one_line(texts, "throttled")
    raise _Missing(f"vcgencmd said '{said}'" if said else "neither vcgencmd nor Android's thermal service reports it")


def _load(texts: Texts) -> float:
    text = texts.get("/proc/loadavg", "")
    if not text.strip():
        raise _Missing("/proc/loadavg cannot be read")
    number = _number(text.split()[0])
    if number is None:
        raise _Missing("/proc/loadavg contains no number")
    return number


def _engines(texts: Texts) -> Iterator[tuple[str, str]]:
    """Name and version: the native library of the device, then the packages of Python."""
    for line in _lines(texts, "native"):
        _, is_library, version = line.partition("libonnxruntime.so.")
        if is_library and version.count(".") == 2:
            yield "onnxruntime", version
    installed = {}
    for line in _lines(texts, "site"):
        name, _, version = line.removesuffix(".dist-info").partition("-")
        if line.endswith(".dist-info"):
            installed[name.replace("_", "-")] = version
    yield from ((name, installed[name]) for name in ENGINES if name in installed)


def _gpu(row: list[str]) -> Gpu:
    name, driver, mebibytes, clock, most, temperature = (field.strip() for field in row)
    memory = _number(mebibytes)
    return Gpu(
        name,
        driver,
        memory_bytes=None if memory is None else int(memory) << 20,
        clock_hz=_scaled(clock, 1e6),
        max_clock_hz=_scaled(most, 1e6),
        temperature_c=_number(temperature),
    )


def _policies(texts: Texts, file: str) -> list[str]:
    return [text for name, text in texts.items() if name.startswith(_CPUS) and name.endswith(f"/{file}")]


def _normal(machine: str) -> str:
    return _ARCHITECTURES.get(machine.lower(), machine.lower())


def _family(machine: str) -> str:
    if machine.startswith(("arm", "aarch64")):
        return "arm"
    return "x86" if machine in ("x86_64", "i386") else machine


def _fields(texts: Texts, name: str) -> list[str]:
    """The values of a field of /proc/cpuinfo, in the order of the cores."""
    found = re.findall(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*)$", texts.get("/proc/cpuinfo", ""), re.MULTILINE)
    return [value.strip() for value in found]


def _field(texts: Texts, name: str) -> str:
    return next(iter(_fields(texts, name)), "")


def _lines(texts: Texts, name: str) -> list[str]:
    return [line.strip() for line in texts.get(name, "").splitlines() if line.strip()]


def _one_line(texts: Texts, name: str) -> str:
    return " ".join(_lines(texts, name))


def _scaled(text: str, factor: float) -> float | None:
    number = _number(text)
    return None if number is None else number * factor


def _number(text: str) -> float | None:
    """The number; None for `[N/A]` and the like, and for what no sensor can mean."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < _MOST else None
