"""Facts are read from /proc and /sys; what cannot be read is null, with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgekit.core.facts import Facts
from edgekit.runtime.facts import read_facts

PI5: Mapping[str, str] = {
    "proc/cpuinfo": "".join(
        f"processor\t: {core}\nFeatures\t: fp asimd evtstrm fphp asimdhp asimddp\nCPU implementer\t: 0x41\n"
        "CPU part\t: 0xd0b\n\n"
        for core in range(4)
    ),
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/meminfo": "MemTotal:        8245192 kB\nMemFree: 1 kB\n",
    "proc/loadavg": "0.42 0.30 0.10 1/123 4567\n",
    "proc/sys/kernel/arch": "aarch64\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "2400000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "61250\n",
    "sys/class/thermal/thermal_zone1/type": "battery\n",
    "sys/class/thermal/thermal_zone1/temp": "99000\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Raspberry Pi OS 12"\n',
}


def machine(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def vcgencmd(root: Path, answer: str) -> None:
    program = root / "usr/bin/vcgencmd"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)


def test_a_raspberry_pi_is_described(tmp_path: Path) -> None:
    machine(tmp_path, PI5)
    vcgencmd(tmp_path, "throttled=0x50000")

    facts = read_facts(tmp_path, machine="aarch64", environ={})

    assert facts == Facts(
        system="Raspberry Pi OS 12",
        architecture="aarch64",
        cpu="Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)",
        cores=4,
        features=("aarch64", "asimd", "asimddp", "asimdhp", "fphp"),
        memory_bytes=8245192 * 1024,
        governor="ondemand",
        clock_hz=2.4e9,
        temperature_c=61.25,
        throttled=False,
        load=0.42,
        engines=facts.engines,
        sensors={"cpu-thermal": 61.25},
        clocks={"policy0": 2.4e9},
    )


@pytest.mark.parametrize(
    ("answer", "throttled"), [("throttled=0x0", False), ("throttled=0x50005", True), ("throttled=0x8", True)]
)
def test_only_the_bits_of_now_mean_throttled(tmp_path: Path, answer: str, throttled: bool) -> None:
    vcgencmd(tmp_path, answer)

    assert read_facts(tmp_path, environ={}).throttled is throttled


def test_a_firmware_that_answers_otherwise_is_quoted(tmp_path: Path) -> None:
    vcgencmd(tmp_path, "VCHI initialization failed")

    facts = read_facts(tmp_path, environ={})

    assert facts.throttled is None
    assert facts.missing["throttled"] == "vcgencmd said 'VCHI initialization failed'"


def test_an_x86_machine_names_its_instruction_sets(tmp_path: Path) -> None:
    cpuinfo = (
        "processor\t: 0\nmodel name\t: AMD Ryzen 9\ncpu MHz\t\t: 3400.5\nflags\t\t: fpu avx2 avx512_vnni avx_vnni ht\n"
    )
    machine(tmp_path, {"proc/cpuinfo": cpuinfo, "sys/class/hwmon/hwmon0/name": "k10temp\n"})
    machine(tmp_path, {"sys/class/hwmon/hwmon0/temp1_input": "45500\n"})

    facts = read_facts(tmp_path, machine="AMD64", environ={})

    assert facts.cpu == "AMD Ryzen 9"
    assert facts.features == ("x86_64", "avx2", "avx512_vnni", "avx_vnni")
    assert facts.clock_hz == 3400.5e6
    assert facts.temperature_c == 45.5


def test_a_fact_that_cannot_be_read_is_null_with_its_reason(tmp_path: Path) -> None:
    facts = read_facts(tmp_path, machine="riscv64", environ={})

    nulls = {name for name in Facts.__struct_fields__ if getattr(facts, name) is None}
    assert nulls == set(facts.missing)
    assert nulls == {"cpu", "cores", "memory_bytes", "governor", "clock_hz", "temperature_c", "throttled", "load"}
    assert all(facts.missing.values())


def test_nonsense_in_a_file_is_a_missing_fact(tmp_path: Path) -> None:
    machine(tmp_path, {**PI5, "proc/loadavg": "busy", "proc/meminfo": "nothing"})

    facts = read_facts(tmp_path, machine="aarch64", environ={})

    assert (facts.load, facts.memory_bytes) == (None, None)
    assert facts.missing["load"] == "/proc/loadavg contains no number"


def test_different_governors_are_both_named(tmp_path: Path) -> None:
    machine(tmp_path, {**PI5, "sys/devices/system/cpu/cpufreq/policy4/scaling_governor": "performance\n"})

    assert read_facts(tmp_path, machine="aarch64", environ={}).governor == "ondemand+performance"


@pytest.mark.parametrize(
    ("files", "architecture", "environ", "emulated"),
    [
        ({"proc/sys/kernel/arch": "x86_64"}, "aarch64", {}, True),
        ({"proc/sys/kernel/arch": "aarch64"}, "armv7l", {}, False),
        ({"proc/sys/kernel/arch": "x86_64"}, "i386", {}, False),
        ({}, "aarch64", {"QEMU_CPU": "cortex-a76"}, True),
        ({"proc/device-tree/compatible": "linux,dummy-virt\0"}, "aarch64", {}, True),
        ({"proc/cpuinfo": "model name : QEMU TCG CPU version 2.5+\n"}, "x86_64", {}, True),
        ({"proc/cpuinfo": "model name : AMD EPYC\n"}, "x86_64", {}, False),
        (PI5, "aarch64", {}, False),
    ],
)
def test_a_processor_that_is_software_is_found_out(
    tmp_path: Path, files: Mapping[str, str], architecture: str, environ: Mapping[str, str], emulated: bool
) -> None:
    assert read_facts(machine(tmp_path, files), machine=architecture, environ=environ).emulated is emulated


def test_this_machine_prints_its_facts_as_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgekit.runtime.facts"], capture_output=True, text=True, check=True, timeout=60
    )

    facts = json.loads(done.stdout)
    assert facts["cores"] >= 1
    assert facts["features"][0] == facts["architecture"]
    assert "onnxruntime" in facts["engines"]
