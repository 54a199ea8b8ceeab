"""Instructions of a program on an emulated Arm processor, counted exactly: a number that noise cannot touch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.standins.cache import Missing, built
from tests.standins.debian import unpack_packages
from tests.standins.pi import arm64_root

from edgekit.runtime.portable import COUNT_PLUGIN

_TIMEOUT_S: Final = 300
# QEMU 7.2 shows the host's /proc/cpuinfo, and programs that choose their kernels by it crash: part and features by CPU.
_CPUINFO: Final = {
    "cortex-a72": ("0xd08", "fp asimd evtstrm crc32 cpuid"),
    "cortex-a76": (
        "0xd0b",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    ),
}


def instructions(cpu: str, program: Sequence[str]) -> list[int]:
    """Instructions between the marks that `program` sets, run on `cpu`.

    Raises:
        Missing: The emulator or the plug-in cannot be had here.
    """
    qemu, libraries = emulator()
    command = [str(qemu), "-cpu", cpu, "-L", str(_prefix(cpu)), "-plugin", str(plugin())]
    done = subprocess.run(
        [*command, *program],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
        env={"LD_LIBRARY_PATH": libraries, "QEMU_SET_ENV": "EDGEKIT_MARK=1", "PATH": os.environ["PATH"]},
    )
    if done.returncode:
        raise AssertionError(f"exit code {done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}")
    marks = [int(count) for count in re.findall(r"^mark \d+ (\d+)$", done.stderr, re.MULTILINE)]
    return [after - before for before, after in pairwise(marks)]


def emulator() -> tuple[Path, str]:
    """QEMU 7.2 as Debian builds it, and where its libraries are: the static builds know no plug-ins."""

    def build(folder: Path) -> None:
        unpack_packages(folder, ["qemu-user"], only=["./usr/bin/qemu-aarch64"])
        unpack_packages(folder, ["libcapstone4", "liburing2"], only=["./usr/lib/*"])

    folder = built("qemu-7-plugins", build)
    libraries = ":".join(str(path) for path in folder.glob("usr/lib/*-linux-gnu"))
    return folder / "usr/bin/qemu-aarch64", libraries


def plugin() -> Path:
    """The plug-in, compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("a C compiler is needed to build the counting plug-in")

    def build(folder: Path) -> None:
        command = [compiler, "-O2", "-fPIC", "-shared", "-o", str(folder / "count.so"), str(COUNT_PLUGIN)]
        subprocess.run(command, check=True)

    return built("count-plugin-1", build) / "count.so"


def _prefix(cpu: str) -> Path:
    """What the emulator shows of the system: the arm64 root's libraries, and the CPU's own /proc/cpuinfo."""
    root = arm64_root()

    def build(folder: Path) -> None:
        write_cpuinfo(folder, cpu)
        for name in ("lib", "usr", "etc"):
            (folder / name).symlink_to(root / name)

    return built(f"counting-{cpu}-1", build)


def write_cpuinfo(folder: Path, cpu: str) -> None:
    """Write what /proc/cpuinfo of a Pi with `cpu` shows, below `folder`."""
    part, features = _CPUINFO[cpu]
    core = f"Features\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
    entry = f"{core}CPU part\t: {part}\nCPU revision\t: 3\n\n"
    (folder / "proc").mkdir(parents=True)
    (folder / "proc/cpuinfo").write_text("".join(f"processor\t: {number}\n{entry}" for number in range(4)))
