"""Every stand-in at once, behind one inventory: a Pi 4, a Pi 5, a phone over adb and a phone's browser."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.standins.cache import Missing, cache_folder
from tests.standins.chromium import FLAGS, require_chromium
from tests.standins.counter import COUNTER, install_counter
from tests.standins.phone import Phone, running_phone
from tests.standins.pi import PI4, PI5, Board, Pi, arm64_root, running_pi

from edgekit.core.errors import EnvironmentFault
from edgekit.devices import inventory
from edgekit.devices.inventory import Entry
from edgekit.devices.remote.adb import AdbShell
from edgekit.devices.remote.onnxruntime_library import prepare_native
from edgekit.devices.web.packages import fetch
from edgekit.runtime.portable import C_RUNNERS

BOARDS: Final = {"pi4": PI4, "pi5": PI5}
TIMEOUT_S: Final = 200.0


@dataclass
class Browser:
    """A phone's owner: opens in Chromium whatever address is shown."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def open(self, url: str) -> None:
        """Open `url` in a browser with a profile of its own."""
        flags = [flag for flag in FLAGS if flag != "--remote-debugging-pipe"]
        profile = self.folder / f"profile-{len(self.processes)}"
        command = [str(require_chromium()), *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}", url]
        quiet = subprocess.DEVNULL
        self.processes.append(subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True))

    def close(self) -> None:
        """End every browser that was opened."""
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()


@contextmanager
def running_world(folder: Path) -> Iterator[Browser]:
    """All devices, in an inventory at `folder`/devices.toml: pi4, pi5, phone (adb) and browser.

    Raises:
        Missing: One of them cannot be built here.
    """
    with ExitStack() as stack:
        entries = {name: _entry(stack.enter_context(_counting_pi(name, board))) for name, board in BOARDS.items()}
        phone = stack.enter_context(running_phone())
        prepare_phone(phone)
        entries["phone"] = Entry(adb=phone.serial, port=phone.server_port, emulated=True, timeout_s=TIMEOUT_S)
        entries["browser"] = Entry(web="127.0.0.1", timeout_s=TIMEOUT_S)
        inventory.write_inventory(entries, folder / "devices.toml")
        browser = Browser(folder)
        stack.callback(browser.close)
        yield browser


@contextmanager
def _counting_pi(name: str, board: Board) -> Iterator[Pi]:
    with running_pi(board, host=name, prepared=True) as pi:
        install_counter(pi.state / "own", board.cpu)
        yield pi


def _entry(pi: Pi) -> Entry:
    return Entry(ssh=pi.host, ssh_config=str(pi.config), emulated=True, counter=COUNTER, timeout_s=TIMEOUT_S)


def prepare_phone(phone: Phone) -> None:
    """Put the C runner and its library on the phone, and the packages for browsers into the cache."""
    shell = AdbShell("phone", phone.serial, port=phone.server_port)
    try:
        prepare_native(shell, C_RUNNERS, cache_folder() / "wheels", libraries=arm64_root())
        fetch(cache_folder())
    except EnvironmentFault as err:
        raise Missing(err.message) from err
    finally:
        shell.close()
