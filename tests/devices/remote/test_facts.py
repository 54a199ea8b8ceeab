"""Facts from what devices answer."""

from __future__ import annotations

from tests.standins.local_shell import LocalShell

from edgekit.devices.remote.facts import architecture, facts_of, is_emulated, read_sections, sections_of
from edgekit.runtime.facts import read_facts

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


def test_this_machine_through_a_shell_is_what_it_is_directly(here: LocalShell) -> None:
    direct = read_facts()

    facts = facts_of(read_sections(here))

    assert facts.architecture == direct.architecture
    assert set(direct.features) <= set(facts.features)
    for name in ("memory_bytes", "governor", "emulated"):
        assert getattr(facts, name) == getattr(direct, name)
    assert {name for name in facts.__struct_fields__ if getattr(facts, name) is None} == set(facts.missing)


def test_a_phone_is_known_by_its_model_and_the_processor_is_the_hot_zone() -> None:
    facts = facts_of(sections_of(PHONE))

    assert facts.system == "Android 14"
    assert facts.cpu == "EdgePhone 1 SM8550 (Cortex-A510 + Arm part 0xd4d)"
    assert facts.temperature_c == 41.3
    assert facts.throttled is True
    assert facts.cores == 2
    assert facts.features == ("aarch64", "asimd", "asimddp", "fp", "i8mm")
    assert facts.missing.keys() == {"governor", "clock_hz", "load"}
    assert not facts.emulated


def test_throttling_before_the_measurement_does_not_count() -> None:
    def pi(bits: str) -> dict[str, list[str]]:
        return sections_of(f"@@uname\nLinux\naarch64\n@@throttled\nthrottled={bits}\n@@end")

    assert facts_of(pi("0x50000"), throttled_before=0x50000).throttled is False
    assert facts_of(pi("0x50000"), throttled_before=0x10000).throttled is True
    assert facts_of(pi("0x4"), throttled_before=0).throttled is True
    assert facts_of(pi("0x0")).throttled is False


def test_a_32_bit_system_on_a_64_bit_kernel_is_32_bit() -> None:
    assert architecture(sections_of("@@uname\nLinux\naarch64\n@@bits\n32\n@@end")) == "armv7l"
    assert architecture(sections_of("@@uname\nLinux\naarch64\n@@bits\n64\n@@end")) == "aarch64"


def test_emulation_is_seen_by_any_of_its_traces() -> None:
    base = "@@uname\nLinux\naarch64\n@@qemu\n{}\n@@end"
    magic = "7f454c4602010100" + "00" * 8 + "0200"

    def handles(number: str) -> str:
        lines = f"enabled\ninterpreter /x/qemu-any\nmagic {magic}{number}"
        return f"@@/proc/sys/fs/binfmt_misc/qemu\n{lines}\n{base.format('')}"

    assert not is_emulated(sections_of(base.format("")))
    assert is_emulated(sections_of(base.format("QEMU_CPU=cortex-a76")))
    assert is_emulated(sections_of("@@/proc/device-tree/compatible\nlinux,dummy-virt\n" + base.format("")))
    assert is_emulated(sections_of("@@/proc/sys/kernel/arch\nx86_64\n" + base.format("")))
    assert not is_emulated(sections_of("@@/proc/sys/kernel/arch\naarch64\n" + base.format("")))
    assert is_emulated(sections_of(handles("b700")))
    assert not is_emulated(sections_of(handles("3e00")))
