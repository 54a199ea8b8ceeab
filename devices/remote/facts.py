"""Facts of a device with a shell: one script reads what there is, and this side makes sense of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from edgekit.core.facts import Facts
from edgekit.devices.remote.shell import Shell, succeeded

# The shell reads files by itself: a program for each would take a second on a small board.
_SCRIPT: Final = """show() { for file; do
  [ -f "$file" ] || continue
  echo "@@$file"
  while IFS= read -r line || [ -n "$line" ]; do echo "$line"; done <"$file"
done; } 2>/dev/null
cpus=/sys/devices/system/cpu
show /proc/cpuinfo /proc/meminfo /proc/loadavg /proc/device-tree/model /proc/device-tree/compatible
show $cpus/cpu0/cpufreq/scaling_governor $cpus/cpu*/cpufreq/scaling_cur_freq
show /sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp
show /proc/sys/kernel/arch /proc/sys/fs/binfmt_misc/*
echo @@uname; uname -s; uname -m
echo @@bits; getconf LONG_BIT 2>/dev/null
echo @@qemu; env | grep ^QEMU_
if command -v vcgencmd >/dev/null 2>&1; then echo @@throttled; vcgencmd get_throttled; fi
if command -v getprop >/dev/null 2>&1; then echo @@android; getprop ro.build.version.release
  echo @@phone; getprop ro.product.model; getprop ro.soc.model
  echo @@ro.kernel.qemu; getprop ro.kernel.qemu; getprop ro.boot.qemu
  echo @@thermal; dumpsys thermalservice 2>/dev/null; fi
echo @@site; ls "ROOT/site" 2>/dev/null
echo @@native; (cd "ROOT" && ls native/* site/onnxruntime/capi/libonnxruntime.so.* 2>/dev/null)
echo @@end"""

# Implementer 0x41 is Arm; parts from the Linux kernel's cputype.h.
_ARM_PARTS: Final = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2",
}
# The ELF machine number of an architecture, as binfmt_misc handlers spell it: bytes 18 and 19 of the file.
_ELF_MACHINES: Final = {"aarch64": "b700", "x86_64": "3e00", "armv7l": "2800"}
_ENGINES: Final = {
    "onnxruntime": "onnxruntime",
    "ai_edge_litert": "ai-edge-litert",
    "tflite_runtime": "tflite-runtime",
}
_NOW_BITS: Final = 0xF
_SINCE_BOOT_BITS: Final = 0xF0000
_X86_FEATURES: Final = re.compile(r"sse4_\d|avx\w*|fma|f16c|amx_\w+")
_CPU_ZONES: Final = re.compile(r"cpu|soc|core|pkg|tsens|mtktscpu", re.IGNORECASE)

Sections = Mapping[str, list[str]]


def read_sections(shell: Shell) -> dict[str, list[str]]:
    """Lines that the device gives, by file or question; errors as in `Shell.run`."""
    script = _SCRIPT.replace("ROOT", shell.root)
    return sections_of(succeeded(shell, shell.run(script), "reading its facts").text)


def sections_of(text: str) -> dict[str, list[str]]:
    """The answer of the script, taken apart."""
    found: dict[str, list[str]] = {}
    for line in text.replace("\0", "").splitlines():
        if line.startswith("@@"):
            found[line[2:]] = []
        elif found and line.strip():
            found[next(reversed(found))].append(line.strip())
    return found


def facts_of(sections: Sections, *, throttled_before: int = 0) -> Facts:
    """Facts from what the device gave.

    Args:
        throttled_before: The Pi's throttling bits at an earlier time; what was set since boot by then does not count.
    """
    machine = architecture(sections)
    facts: dict[str, object] = {
        "cpu": _cpu(sections, machine),
        "cores": len([line for line in sections.get("/proc/cpuinfo", ()) if line.startswith("processor")]) or None,
        "memory_bytes": _memory(sections),
        "governor": _first(sections, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "clock_hz": _clock(sections),
        "temperature_c": _temperature(sections),
        "throttled": _throttled(sections, throttled_before),
        "load": _number(_first(sections, "/proc/loadavg")),
    }
    return Facts(
        system=_system(sections),
        architecture=machine,
        features=(machine, *_features(sections)),
        emulated=is_emulated(sections),
        engines=dict(_engines(sections)),
        missing={name: _WHY_MISSING[name] for name, value in facts.items() if value is None},
        **facts,  # type: ignore[arg-type] # each value comes from the function made for its field
    )


_WHY_MISSING: Final = {
    "cpu": "/proc/cpuinfo names none",
    "cores": "/proc/cpuinfo cannot be read",
    "memory_bytes": "/proc/meminfo cannot be read",
    "governor": "the system has no cpufreq, or does not show it",
    "clock_hz": "the system has no cpufreq, or does not show it",
    "temperature_c": "no thermal zone can be read",
    "throttled": "neither vcgencmd nor the thermal service tells",
    "load": "/proc/loadavg cannot be read",
}


def architecture(sections: Sections) -> str:
    """The architecture of programs, which is 32-bit on a 64-bit kernel with a 32-bit system."""
    machine = (sections.get("uname") or ["", ""])[-1]
    if machine == "aarch64" and _first(sections, "bits") == "32":
        return "armv7l"
    return "aarch64" if machine == "arm64" else machine


def throttling_bits(sections: Sections) -> int | None:
    """The bits of the Pi's `vcgencmd get_throttled`: 0 to 3 what is now, 16 to 19 what was since boot."""
    match = re.search(r"0x([0-9a-fA-F]+)", _first(sections, "throttled") or "")
    return int(match[1], 16) if match else None


def is_emulated(sections: Sections) -> bool:
    """True when QEMU translates the programs of the device, or its board is one of QEMU's inventions."""
    kernel = _first(sections, "/proc/sys/kernel/arch")
    if kernel and _family(kernel) != _family(architecture(sections)):
        return True  # the kernel is that of the machine below
    if sections.get("qemu") or "1" in sections.get("ro.kernel.qemu", ()):
        return True
    if any("dummy-virt" in line for line in sections.get("/proc/device-tree/compatible", ())):
        return True
    if any("QEMU TCG" in line for line in sections.get("/proc/cpuinfo", ())):
        return True
    number = _ELF_MACHINES.get(architecture(sections), "-")
    handlers = (lines for name, lines in sections.items() if name.startswith("/proc/sys/fs/binfmt_misc/"))
    return any("enabled" in lines and _handles(lines, number) for lines in handlers)


def _family(machine: str) -> str:
    return "arm" if machine.startswith(("arm", "aarch64")) else "x86" if machine in ("x86_64", "i686") else machine


def _handles(lines: list[str], number: str) -> bool:
    """True when a binfmt_misc entry hands programs of the ELF machine `number` to QEMU."""
    magic = next((line.split()[1] for line in lines if line.startswith("magic ")), "")
    is_qemu = any(line.startswith("interpreter ") and "qemu" in line for line in lines)
    return is_qemu and magic.startswith("7f454c46") and magic[36:40] == number


def _system(sections: Sections) -> str:
    android = _first(sections, "android")
    return f"Android {android}" if android else (sections.get("uname") or [""])[0]


def _cpu(sections: Sections, machine: str) -> str | None:
    """The processor's name, and the board's where it has one."""
    named = _field(sections, "model name") if machine == "x86_64" else None
    parts = [line.partition(":")[2].strip() for line in sections.get("/proc/cpuinfo", ()) if "CPU part" in line]
    kinds = list(dict.fromkeys(_ARM_PARTS.get(part, f"Arm part {part}") for part in parts))
    name = named or " + ".join(kinds)
    board = _first(sections, "/proc/device-tree/model") or " ".join(sections.get("phone", ()))
    return f"{board} ({name})" if name and board else name or board or None


def _features(sections: Sections) -> tuple[str, ...]:
    x86 = [flag for flag in (_field(sections, "flags") or "").split() if _X86_FEATURES.fullmatch(flag)]
    return tuple(sorted({*(_field(sections, "Features") or "").split(), *x86}))


def _memory(sections: Sections) -> int | None:
    line = next((line for line in sections.get("/proc/meminfo", ()) if line.startswith("MemTotal")), "")
    match = re.search(r"(\d+) kB", line)
    return int(match[1]) * 1024 if match else None


def _clock(sections: Sections) -> float | None:
    clocks = [_number(lines[0]) for name, lines in sections.items() if name.endswith("scaling_cur_freq") and lines]
    known = [clock for clock in clocks if clock is not None]
    return max(known) * 1000 if known else None


def _temperature(sections: Sections) -> float | None:
    """The hottest zone of the processor; of any zone, where none is known to be the processor's."""
    zones: dict[str, tuple[str, float]] = {}
    for name, lines in sections.items():
        value = _number(lines[0]) if name.endswith("/temp") and lines else None
        if value is not None:
            zone = name.removesuffix("/temp")
            zones[zone] = (_first(sections, f"{zone}/type") or "", value / 1000)
    of_cpu = [value for kind, value in zones.values() if _CPU_ZONES.search(kind)]
    return max(of_cpu or [value for _, value in zones.values()], default=None)


def _throttled(sections: Sections, before: int) -> bool | None:
    bits = throttling_bits(sections)
    if bits is not None:
        return bool(bits & _NOW_BITS or bits & ~before & _SINCE_BOOT_BITS)
    status = next((line for line in sections.get("thermal", ()) if line.startswith("Thermal Status:")), "")
    return int(status.split()[-1]) >= 2 if status[-1:].isdigit() else None  # 2: moderate, the first that throttles


def _engines(sections: Sections) -> Iterator[tuple[str, str]]:
    for line in sections.get("native", ()):
        _, is_library, version = line.partition("libonnxruntime.so.")
        if is_library and version.count(".") == 2:
            yield "onnxruntime", version
    for line in sections.get("site", ()):
        name, _, version = line.removesuffix(".dist-info").partition("-")
        if line.endswith(".dist-info") and name in _ENGINES:
            yield _ENGINES[name], version


def _field(sections: Sections, name: str) -> str | None:
    for line in sections.get("/proc/cpuinfo", ()):
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _first(sections: Sections, name: str) -> str | None:
    return next(iter(sections.get(name, ())), None)


def _number(text: str | None) -> float | None:
    match = re.match(r"-?\d+(\.\d+)?", text or "")
    return float(match[0]) if match else None
