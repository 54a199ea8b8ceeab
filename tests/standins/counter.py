"""A program for an emulated Pi that runs another under an emulator which counts instructions: the user's counter."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.standins.cache import built
from tests.standins.counting import emulator, plugin, write_cpuinfo
from tests.standins.pi import script

COUNTER: Final = "count-instructions"


def install_counter(own: Path, cpu: str) -> None:
    """Put the counter into the programs of a Pi, whose folder `own` is /own on it; its kernel runs x86 programs too."""
    shutil.copytree(_portable_emulator(), own / "count")
    write_cpuinfo(own / "count/prefix", cpu)
    script(
        own / "bin" / COUNTER,
        'program=$(command -v "$1") && shift\n'
        "exec /own/count/ld.so --library-path /own/count /own/count/qemu-aarch64 "
        f'-cpu {cpu} -L /own/count/prefix -plugin /own/count/count.so "$program" "$@"',
    )


def _portable_emulator() -> Path:
    """The counting emulator with every library it needs, in one folder."""

    def build(folder: Path) -> None:
        program, libraries = emulator()
        said = subprocess.run(
            ["ldd", program], capture_output=True, text=True, check=True, env={"LD_LIBRARY_PATH": libraries}
        ).stdout
        for path in re.findall(r"(/\S+) \(0x", said):
            shutil.copy(path, folder)
        loader = next(folder.glob("ld-linux*"))
        loader.rename(folder / "ld.so")
        shutil.copy(program, folder)
        shutil.copy(plugin(), folder)

    return built("counter-1", build)
