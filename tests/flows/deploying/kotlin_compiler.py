"""A Kotlin compiler and what the module in Kotlin needs with it: a JDK, cmake and a C compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from tests.standins.cache import Missing, built

# The wheel has the whole compiler in one jar, and the library that compiled programs need in another.
PACKAGE: Final = "kotlin-jupyter-kernel==0.19.0.944"
_JARS: Final = {
    "kotlin-jupyter-kernel-0.19.0-944-all.jar": "compiler.jar",
    "kotlin-stdlib-2.3.10-RC.jar": "kotlin-stdlib.jar",
}
_PROGRAMS: Final = {"javac": "default-jdk-headless", "cmake": "cmake", "cc": "gcc"}
_HERE: Final = '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'
# One short compilation: the fastest code of the JVM would come too late.
_COMPILER: Final = f"""{_HERE}exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$here/compiler.jar" \\
    org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect -cp "$here/kotlin-stdlib.jar" "$@"
"""
_RUNNER: Final = f"""{_HERE}[ "$1" = -cp ] || exit 2
classes=$2
shift 2
exec java -cp "$here/kotlin-stdlib.jar:$classes" "$@"
"""


def kotlin_folder() -> Path:
    """A folder with `kotlinc` and `kotlin -cp CLASSES MAIN`, as those of a Kotlin that is installed.

    Raises:
        Missing: There is no JDK, cmake or C compiler, or pip cannot fetch the compiler.
    """
    missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        raise Missing(f"apt-get install {' '.join(missing)}")
    return built(f"kotlin-{PACKAGE.partition('==')[2]}", _fetch)


def _fetch(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*command, "--dest", str(folder), PACKAGE], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise Missing(f"pip could not fetch {PACKAGE}: {done.stderr.strip()[-300:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        for name, kept in _JARS.items():
            (folder / kept).write_bytes(wheel.read(f"run_kotlin_kernel/jars/{name}"))
    wheels[0].unlink()
    for name, text in {"kotlinc": _COMPILER, "kotlin": _RUNNER}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
