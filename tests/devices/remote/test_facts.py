"""Facts from what devices answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.standins.local_shell import LocalShell

from edgekit.core import machine
from edgekit.core.facts import Facts, Gpu
from edgekit.core.reports.tuning import device_kind
from edgekit.devices.remote.facts import read_texts, script, texts_of
from edgekit.runtime.facts import read_facts
from edgekit.runtime.facts import read_texts as read_texts_here

CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Recorded:
    """Files and programs of a device, and the kind of device it is for `tune`."""

    kind: str
    files: Mapping[str, str]
    programs: Mapping[str, str] = field(default_factory=dict)
    machine: str = "aarch64"

    def install(self, root: Path) -> Path:
        """The root folder of a device that has them."""
        count = self.files["proc/cpuinfo"].count("processor")
        standard = {
            "uname": f'$([ "$1" = -s ] && echo Linux || echo {self.machine})',
            "getconf": "32" if self.machine == "armv7l" else "64",
            "nproc": str(count),
        }
        programs = {**standard, **self.programs}
        scripts = {f"usr/bin/{name}": f'#!/bin/sh\necho "{answer}"\n' for name, answer in programs.items()}
        for name, text in {**self.files, **scripts}.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755)
        return root


def cores(count: int, *lines: str) -> str:
    """/proc/cpuinfo of so many equal cores."""
    return "\n\n".join("\n".join((f"processor : {core}", *lines)) for core in range(count)) + "\n"


def over_ssh(root: Path, home: Path) -> Facts:
    """What the script finds on the device in `root`, which has the packages of this Python."""
    for package in read_texts_here()["site"].splitlines():
        (home / ".cache/edgekit/site" / package).mkdir(parents=True)
    shell = LocalShell(home, python=root / "usr/bin")
    return machine.facts(texts_of(shell.run(script(shell.root, prefix=str(root))).text))


PHONE = """@@/proc/cpuinfo
processor : 0
CPU part : 0xd46
processor : 1
CPU part : 0xd4d
Features : fp asimd asimddp i8mm
@@/proc/meminfo
MemTotal: 7800000 kB
@@/sys/class/thermal/thermal_zone0/type
battery
@@/sys/class/thermal/thermal_zone0/temp
55000
@@/sys/class/thermal/thermal_zone1/type
cpu-0-0-usr
@@/sys/class/thermal/thermal_zone1/temp
41300
@@uname
Linux
aarch64
@@bits
@@qemu
@@android
14
@@phone
EdgePhone 1
SM8550
@@ro.kernel.qemu
@@thermal
IsStatusOverride: false
Thermal Status: 3
@@site
@@end"""


JETSON = Recorded(
    "NVIDIA Jetson Orin Nano Developer Kit (Cortex-A78AE), aarch64, 6 cores",
    {
        "proc/cpuinfo": cores(
            6,
            "model name : ARMv8 Processor rev 1 (v8l)",
            "Features : fp asimd evtstrm aes atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp uscat",
            "CPU implementer : 0x41",
            "CPU part : 0xd42",
        ),
        "proc/meminfo": "MemTotal:        7802652 kB\nMemFree:         3171256 kB\n",
        "proc/loadavg": "0.51 0.40 0.22 1/512 4711\n",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0",
        "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n',
        f"{CPUS}/cpufreq/policy0/scaling_governor": "schedutil\n",
        f"{CPUS}/cpufreq/policy0/scaling_cur_freq": "1510400\n",
        f"{CPUS}/cpufreq/policy4/scaling_governor": "performance\n",
        f"{CPUS}/cpufreq/policy4/scaling_cur_freq": "729600\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48281\n",
        "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
        "sys/class/thermal/thermal_zone1/temp": "49500\n",
    },
)
PI5 = Recorded(
    "Raspberry Pi 5 Model B (Cortex-A76), aarch64, 4 cores",
    {
        "proc/cpuinfo": cores(4, "Features : fp asimd evtstrm fphp asimdhp asimddp", "CPU part : 0xd0b"),
        "proc/meminfo": "MemTotal:        8245192 kB\n",
        "proc/loadavg": "0.42 0.30 0.10 1/123 4567\n",
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/sys/kernel/arch": "aarch64\n",
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        f"{CPUS}/cpufreq/policy0/scaling_governor": "ondemand\n",
        f"{CPUS}/cpufreq/policy0/scaling_cur_freq": "2400000\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "61250\n",
    },
    {"vcgencmd": "throttled=0x50000"},
)
PI4_32_BIT = Recorded(
    "Raspberry Pi 4 Model B (Cortex-A72), armv7l, 4 cores",
    {
        "proc/cpuinfo": cores(
            4, "model name : ARMv7 Processor rev 3 (v7l)", "Features : half thumb neon vfpv4", "CPU part : 0xd08"
        ),
        "proc/meminfo": "MemTotal:        3885396 kB\n",
        "proc/loadavg": "0.01 0.02 0.00 1/150 900\n",
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "etc/os-release": 'PRETTY_NAME="Raspbian GNU/Linux 11 (bullseye)"\n',
        f"{CPUS}/cpu0/cpufreq/scaling_governor": "ondemand\n",
        f"{CPUS}/cpu0/cpufreq/scaling_cur_freq": "600000\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "83100\n",
    },
    {"vcgencmd": "throttled=0x50008"},
    machine="armv7l",
)
A77_PHONE = Recorded(
    "OnePlus 8 SM8250 (Cortex-A55 + Cortex-A77), aarch64, 2 cores",
    {
        "proc/cpuinfo": "processor : 0\nCPU part : 0xd05\n\nprocessor : 1\nFeatures : fp asimd\nCPU part : 0xd0d\n",
        "proc/meminfo": "MemTotal:        7755420 kB\n",
        f"{CPUS}/cpufreq/policy0/scaling_governor": "schedutil\n",
        "sys/class/thermal/thermal_zone0/type": "battery\n",
        "sys/class/thermal/thermal_zone0/temp": "55000\n",
        "sys/class/thermal/thermal_zone1/type": "tsens_tz_sensor1\n",
        "sys/class/thermal/thermal_zone1/temp": "41300\n",
    },
    {
        "getprop": '$(case "$1" in *release) echo 13;; *product*) echo OnePlus 8;; *soc*) echo SM8250;; esac)',
        "dumpsys": "Thermal Status: 2",
    },
)
SERVER = Recorded(
    "AMD EPYC 9354 32-Core Processor, x86_64, 2 cores",
    {
        "proc/cpuinfo": cores(
            2,
            "model name : AMD EPYC 9354 32-Core Processor",
            "cpu MHz : 3249.914",
            "flags : fpu sse4_1 sse4_2 avx f16c avx2 fma avx512f avx512vl avx512_vnni avx512cd ht",
        ),
        "proc/meminfo": "MemTotal:       131072000 kB\n",
        "proc/loadavg": "12.50 9.00 4.00 3/900 31337\n",
        "proc/sys/kernel/arch": "x86_64\n",
        "etc/os-release": "PRETTY_NAME=Debian\n",
        "sys/class/hwmon/hwmon0/name": "nvme\n",
        "sys/class/hwmon/hwmon0/temp1_input": "71850\n",
        "sys/class/hwmon/hwmon1/name": "k10temp\n",
        "sys/class/hwmon/hwmon1/temp1_input": "45500\n",
    },
    {"vcgencmd": "VCHI initialization failed"},
    machine="x86_64",
)


@pytest.mark.parametrize("recorded", [JETSON, PI5, PI4_32_BIT, A77_PHONE, SERVER], ids=lambda one: one.kind)
def test_a_device_is_the_same_from_inside_and_over_ssh(recorded: Recorded, tmp_path: Path) -> None:
    root = recorded.install(tmp_path / "device")

    inside = read_facts(root, machine=recorded.machine, environ={})
    outside = over_ssh(root, tmp_path / "home")

    assert inside == outside
    assert device_kind(inside) == device_kind(outside) == recorded.kind


def test_what_was_recorded_is_read(tmp_path: Path) -> None:
    facts = over_ssh(JETSON.install(tmp_path / "device"), tmp_path / "home")

    assert facts.system == "Ubuntu 22.04.4 LTS"
    assert facts.features == ("aarch64", "asimd", "asimddp", "asimdhp", "fphp")
    assert (facts.governor, facts.clock_hz, facts.temperature_c) == ("performance+schedutil", 1510.4e6, 48.281)
    assert facts.clocks == {"policy0": 1510.4e6, "policy4": 729.6e6}
    assert facts.sensors == {"cpu-thermal": 48.281}
    assert facts.missing == {"throttled": "neither vcgencmd nor Android's thermal service reports it"}


def test_graphics_processors_are_read_over_ssh_too(tmp_path: Path) -> None:
    rows = {"nvidia-smi": "NVIDIA A, 580.65, 143771, 345, 1980, 31"}
    root = replace(SERVER, programs=rows).install(tmp_path / "device")

    facts = over_ssh(root, tmp_path / "home")

    assert facts.gpus == (Gpu("NVIDIA A", "580.65", 143771 << 20, 345e6, 1980e6, 31.0),)


def test_this_machine_through_a_shell_is_what_it_is_directly(here: LocalShell) -> None:
    direct = read_facts()

    facts = machine.facts(read_texts(here))

    assert device_kind(facts) == device_kind(direct)
    assert {name for name in facts.__struct_fields__ if getattr(facts, name) is None} == set(facts.missing)
    # The engines of this Python are not those of the device, and the rest changes from moment to moment.
    for name in set(facts.__struct_fields__) - {
        "engines",
        "gpus",
        "clock_hz",
        "clocks",
        "temperature_c",
        "sensors",
        "load",
    }:
        assert getattr(facts, name) == getattr(direct, name)


def test_a_phone_is_known_by_its_model_and_the_processor_is_the_hot_zone() -> None:
    facts = machine.facts(texts_of(PHONE))

    assert facts.system == "Android 14"
    assert facts.cpu == "EdgePhone 1 SM8550 (Cortex-A510 + Arm part 0xd4d)"
    assert facts.temperature_c == 41.3
    assert facts.throttled is True
    assert facts.cores == 2
    assert facts.features == ("aarch64", "asimd", "asimddp", "i8mm")
    assert facts.missing.keys() == {"governor", "clock_hz", "load"}
    assert not facts.emulated


def test_sensors_of_one_name_keep_their_places() -> None:
    zones = [("0", "tsens", "41000"), ("1", "tsens", "43000"), ("2", "pmic", "100000"), ("3", "", "99000")]
    lines = [
        line
        for place, kind, value in zones
        for line in (
            f"@@/sys/class/thermal/thermal_zone{place}/type",
            kind,
            f"@@/sys/class/thermal/thermal_zone{place}/temp",
            value,
        )
    ]

    facts = machine.facts(texts_of("\n".join(lines)))

    assert facts.sensors == {"tsens (thermal_zone0)": 41.0, "tsens (thermal_zone1)": 43.0}
    assert facts.temperature_c == 43.0


def test_a_moment_replaces_what_changes_and_keeps_the_rest() -> None:
    start = texts_of(PHONE)
    later = {**start, "/sys/class/thermal/thermal_zone1/temp": "52000", "thermal": "Thermal Status: 0"}
    state = {name: later[name] for name in ("/sys/class/thermal/thermal_zone1/temp", "thermal")}

    facts = machine.facts(machine.at(start, {**state, "/sys/class/thermal/thermal_zone1/type": "cpu-0-0-usr"}))

    assert (facts.cpu, facts.cores) == (machine.facts(start).cpu, 2)
    assert facts.sensors == {"cpu-0-0-usr": 52.0}
    assert facts.throttled is False


def test_throttling_before_the_measurement_does_not_count() -> None:
    def pi(bits: str) -> dict[str, str]:
        return texts_of(f"@@uname\nLinux\naarch64\n@@throttled\nthrottled={bits}\n@@end")

    assert machine.facts(pi("0x50000"), throttled_before=0x50000).throttled is False
    assert machine.facts(pi("0x50000"), throttled_before=0x10000).throttled is True
    assert machine.facts(pi("0x4"), throttled_before=0).throttled is True
    assert machine.facts(pi("0x0")).throttled is False


def test_a_32_bit_system_on_a_64_bit_kernel_is_32_bit() -> None:
    assert machine.architecture(texts_of("@@uname\nLinux\naarch64\n@@bits\n32\n@@end")) == "armv7l"
    assert machine.architecture(texts_of("@@uname\nLinux\naarch64\n@@bits\n64\n@@end")) == "aarch64"
    assert machine.architecture(texts_of("@@uname\nLinux\narmv8l\n@@bits\n32\n@@end")) == "armv7l"


def test_a_device_without_getconf_still_has_its_bits(tmp_path: Path) -> None:
    root = PI5.install(tmp_path / "device")
    (root / "usr/bin/getconf").write_text("#!/bin/sh\nexit 127\n")

    shell = LocalShell(tmp_path, python=root / "usr/bin")
    found = texts_of(shell.run(script(shell.root, prefix=str(root))).text)

    assert found["bits"].strip() == read_texts_here()["bits"]


def test_emulation_is_seen_by_any_of_its_traces() -> None:
    base = "@@uname\nLinux\naarch64\n@@qemu\n{}\n@@end"
    magic = "7f454c4602010100" + "00" * 8 + "0200"

    def handles(number: str) -> str:
        lines = f"enabled\ninterpreter /x/qemu-any\nmagic {magic}{number}"
        return f"@@/proc/sys/fs/binfmt_misc/qemu\n{lines}\n{base.format('')}"

    assert not machine.is_emulated(texts_of(base.format("")))
    assert machine.is_emulated(texts_of(base.format("QEMU_CPU=cortex-a76")))
    assert machine.is_emulated(texts_of("@@/proc/device-tree/compatible\nlinux,dummy-virt\n" + base.format("")))
    assert machine.is_emulated(texts_of("@@/proc/sys/kernel/arch\nx86_64\n" + base.format("")))
    assert not machine.is_emulated(texts_of("@@/proc/sys/kernel/arch\naarch64\n" + base.format("")))
    assert machine.is_emulated(texts_of(handles("b700")))
    assert not machine.is_emulated(texts_of(handles("3e00")))
