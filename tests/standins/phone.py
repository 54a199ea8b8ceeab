"""An Android phone without a phone: the real `adb` client, a loopback daemon, and an arm64 system without glibc."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.standins.adbd import Daemon
from tests.standins.cache import Missing, built
from tests.standins.debian import unpack_packages
from tests.standins.pi import check_machine, free_port, qemu, script

from edgekit.core.system.durable.owners import temporary_folder

HERE: Final = Path(__file__).parent
APPLETS: Final = """sh ls cat chmod mkdir rm rmdir mv cp ln echo ps kill sleep uname id env timeout grep sed sha256sum
date df du wc awk true false test head tail tr cut tar gzip gunzip printf dirname find"""
PROPERTIES: Final = {
    "ro.product.model": "EdgePhone 1",
    "ro.soc.model": "SM8550",
    "ro.build.version.release": "14",
    "ro.product.cpu.abi": "arm64-v8a",
}


@dataclass
class Phone:
    """A running stand-in, connected to an adb server of its own on `server_port` under `serial`."""

    serial: str
    server_port: int
    state: Path
    daemon: Daemon

    @property
    def folder(self) -> Path:
        """What edgekit has put on it."""
        return self.state / "data/local/tmp/edgekit"

    def processes(self) -> list[str]:
        """Command lines of what runs on it."""
        lines = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = str(self.state).encode() in (entry / "mountinfo").read_bytes()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if is_ours and "qemu-aarch64" in line:
                lines.append(line.strip())
        return lines

    def adb(self, *arguments: str) -> str:
        """What the real client prints."""
        command = ["adb", "-P", str(self.server_port), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout


def adb_program() -> Path:
    """The folder of the `adb` program: this machine's own, or one unpacked into the cache behind a script."""
    installed = shutil.which("adb")
    if installed:
        return Path(installed).parent

    def build(folder: Path) -> None:
        unpack_packages(folder, ["adb"])
        program = next(folder.glob("usr/lib/android-sdk/platform-tools/adb"), folder / "usr/bin/adb")
        relative = program.relative_to(folder)
        (folder / "bin").mkdir(exist_ok=True)
        script(
            folder / "bin/adb",
            'here=$(dirname "$(dirname "$(readlink -f "$0")")")\n'
            "libraries=$here/usr/lib/x86_64-linux-gnu/android:$here/usr/lib/x86_64-linux-gnu\n"
            f'LD_LIBRARY_PATH=$libraries exec "$here/{relative}" "$@"',
        )

    return built("adb-1", build) / "bin"


def phone_root() -> Path:
    """A root that holds nothing but a static arm64 busybox and what Android programs would say."""

    def build(folder: Path) -> None:
        unpack_packages(folder, ["busybox-static"], arch="arm64", only=["./bin/busybox"])
        for name in ("system/bin", "data", "proc", "dev", "sys"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "bin/busybox").rename(folder / "system/bin/busybox")
        for applet in APPLETS.split():
            (folder / "system/bin" / applet).symlink_to("busybox")
        cases = " ".join(f'{name}) echo "{value}";;' for name, value in PROPERTIES.items())
        (folder / "system/bin/getprop").write_text(f'#!/system/bin/sh\ncase "$1" in {cases} *) echo;; esac\n')
        (folder / "system/bin/dumpsys").write_text('#!/system/bin/sh\necho "Thermal Status: 0"\n')
        for name in ("getprop", "dumpsys"):
            (folder / "system/bin" / name).chmod(0o755)

    return built("phone-root-1", build)


@contextmanager
def running_phone(*, features: str = "shell_v2,cmd", authorized: bool = True) -> Iterator[Phone]:
    """A phone for as long as the block lasts, with an adb server that knows no other.

    Raises:
        Missing: It cannot be built here.
    """
    check_machine()
    root, emulator, program = phone_root(), qemu(), adb_program()
    with temporary_folder("ek-phone-") as folder:
        state = Path(folder)
        (state / "data/local/tmp").mkdir(parents=True)
        variables = f"PHONE_ROOT={root} PHONE_QEMU={emulator} PHONE_STATE={state}".split()
        daemon = Daemon(lambda command: ["env", *variables, f"{HERE}/enter_phone.sh", command], features, authorized)
        daemon.start()
        with _server(program, state) as port:
            phone = Phone(f"127.0.0.1:{daemon.port}", port, state, daemon)
            phone.adb("connect", phone.serial)
            try:
                yield phone
            finally:
                daemon.stop()


@contextmanager
def _server(program: Path, state: Path) -> Iterator[int]:
    """An adb server on a port of its own, with keys of its own; `adb` is on the path meanwhile."""
    port = free_port()
    before = {name: os.environ.get(name) for name in ("PATH", "ANDROID_USER_HOME", "ADB_VENDOR_KEYS", "HOME")}
    os.environ["PATH"] = f"{program}:{os.environ['PATH']}"
    os.environ["HOME"] = str(state)
    command = ["adb", "-P", str(port)]
    started = subprocess.run([*command, "start-server"], capture_output=True, text=True, check=False, timeout=60)
    try:
        if started.returncode:
            raise Missing(f"the adb server does not start: {started.stderr.strip()[-200:]}")
        yield port
    finally:
        subprocess.run([*command, "kill-server"], capture_output=True, check=False, timeout=60)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
