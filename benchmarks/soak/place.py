"""The place of a soak: stand-ins for devices, a project, and the two processes that live as long as it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.standins.desk import Host, running_desk
from tests.standins.phone import Phone, running_phone
from tests.standins.pi import PI5, Pi, free_port, running_pi
from tests.standins.world import Browser, prepare_phone

from edgekit.devices import inventory
from edgekit.devices.inventory import Entry

ROOT: Final = Path(__file__).parents[2]
NET: Final = """
import torch
from torch import nn

def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
"""
SAMPLES: Final = """
import numpy as np
x = np.random.default_rng(0).random((60, 1, 4, 4), dtype=np.float32)
np.savez("samples.npz", x=x, label=np.arange(60) % 3)
"""
CHECK: Final = '[check]\nlaunches = 5\ntime_limit_s = 0.02\n[[check.models]]\npath = "bundle"\n'
ENTRANCE: Final = '#!/bin/sh\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n'
DESKS: Final = ["desk-a", "desk-b"]
TIMEOUT_S: Final = 300.0
# The disk that is full in some rounds.
SMALL_BYTES: Final = 2 << 20


@dataclass
class Place:
    """Everything that a round may touch. `residents` are the processes that live as long as the soak, by name.

    `nice` is how far its sessions stand back behind those of others.
    """

    folder: Path
    desks: list[Host]
    pi: Pi
    phone: Phone
    browser: Browser
    environment: dict[str, str]
    residents: dict[str, int] = field(default_factory=dict)
    nice: int = 0

    @property
    def project(self) -> Path:
        """The current folder of every command."""
        return self.folder / "project"

    @property
    def small(self) -> Path:
        """A disk of `SMALL_BYTES`."""
        return self.folder / "small"

    def counted(self) -> dict[str, Path]:
        """The folders in which nothing may grow."""
        homes = {host.name: host.home for host in self.desks} | {"pi": self.pi.home, "phone": self.phone.state / "data"}
        own = {name: self.folder / name for name in ("project", "tmp", "cache", "home", "leases", "small")}
        return own | homes

    def stationed(self) -> dict[str, int]:
        """The process of each stand-in and resident by name; a device that was restarted has another one."""
        return {host.name: host.process.pid for host in self.desks} | {"pi": self.pi.process.pid} | self.residents


@contextmanager
def running_place(folder: Path) -> Iterator[Place]:
    """The stand-ins and the residents, for as long as the block lasts.

    Raises:
        Missing: A stand-in cannot be built here.
    """
    for name in ("project", "tmp", "cache", "home", "leases", "small", "standins"):
        (folder / name).mkdir(parents=True)
    shared = Path(os.environ.get("EDGEKIT_CACHE") or "~/.cache/edgekit").expanduser() / "standins"
    (folder / "cache/standins").symlink_to(shared)
    tempfile.tempdir = str(folder / "standins")
    os.environ["EDGEKIT_CACHE"] = str(folder / "cache")
    _link(shared / "web", folder / "cache/web")
    _link(shared / "wheels", folder / "cache/wheels")
    with ExitStack() as stack:
        stack.enter_context(_small_disk(folder / "small"))
        desks = stack.enter_context(running_desk(folder / "desk", DESKS, launch_s=None))
        for host in desks:
            _add_entrance(host)
        pi = stack.enter_context(running_pi(PI5, prepared=True))
        phone = stack.enter_context(running_phone())
        prepare_phone(phone)
        browser = Browser(folder / "standins")
        stack.callback(browser.close)
        place = Place(folder, desks, pi, phone, browser, _environment(folder))
        _write_inventory(place)
        _write_project(place)
        for name in ("library", "page"):
            place.residents[name] = stack.enter_context(_resident(place, name))
        place.residents["harness and phone"] = os.getpid()
        yield place


def edgekit(words: str) -> list[str]:
    """The command line of an edgekit command."""
    return [sys.executable, "-m", "edgekit", *words.split()]


def _add_entrance(host: Host) -> None:
    """Let all commands of a host go through the program at `entrance_of`, which a fault replaces."""
    entrance = entrance_of(host)
    entrance.write_text(ENTRANCE)
    entrance.chmod(0o755)
    with (host.state / "sshd_config").open("a") as config:
        config.write(f"ForceCommand {entrance}\n")
    host.kill()
    host.start()


def entrance_of(host: Host) -> Path:
    """The program through which all commands of a host go."""
    return host.state / "enter"


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _link(source: Path, target: Path) -> None:
    """Hard links: every file of a cache is written once."""
    if subprocess.run(["cp", "-al", source, target], capture_output=True, check=False).returncode:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)


def _environment(folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("EDGEKIT_", "XDG_"))},
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "EDGEKIT_CACHE": str(folder / "cache"),
        "EDGEKIT_LEASES": str(folder / "leases"),
        "EDGEKIT_DEVICES": str(folder / "devices.toml"),
    }


def _write_inventory(place: Place) -> None:
    entries = {
        host.name: Entry(ssh=host.name, ssh_config=str(host.config), timeout_s=TIMEOUT_S) for host in place.desks
    }
    entries["pi"] = Entry(ssh="pi", ssh_config=str(place.pi.config), emulated=True, timeout_s=TIMEOUT_S)
    phone = place.phone
    entries["phone"] = Entry(adb=phone.serial, port=phone.server_port, emulated=True, timeout_s=TIMEOUT_S)
    entries["browser"] = Entry(web="127.0.0.1", port=free_port(), timeout_s=TIMEOUT_S)
    inventory.write_inventory(entries, place.folder / "devices.toml")


def _write_project(place: Place) -> None:
    (place.project / "net.py").write_text(NET)
    (place.project / "edgekit.toml").write_text(CHECK)
    (place.project / "broken.onnx").write_bytes(b"\x08\x0a" * 50)
    subprocess.run([sys.executable, "-c", SAMPLES], cwd=place.project, check=True)
    words = "export net.py:net --samples samples.npz --to onnx-fp32,tflite-fp32 --out bundle"
    subprocess.run(edgekit(words), cwd=place.project, env=place.environment, check=True)


@contextmanager
def _resident(place: Place, name: str) -> Iterator[int]:
    with (place.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak.residents", name, place.folder],
            cwd=place.project,
            env=place.environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()
