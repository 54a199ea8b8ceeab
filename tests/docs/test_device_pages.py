"""The pages about devices, followed literally on the stand-ins."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tests.docs.followed import ROOT, Reader, Step, programs, ssh_program, steps
from tests.flows.deploying.small_bundles import small_bundle
from tests.flows.deploying.test_js_program import ended
from tests.standins.cache import Missing, cache_folder, required
from tests.standins.chromium import Chromium
from tests.standins.desk import Host, running_desk
from tests.standins.phone import running_phone
from tests.standins.pi import PI5, arm64_root, free_port, running_pi
from tests.standins.world import Browser

from edgekit.core.errors import EnvironmentFault
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.devices.web.packages import PACKAGES, fetch, place


def page(name: str) -> list[Step]:
    return steps((ROOT / "docs" / name).read_text(encoding="utf-8"))


# Anna has the device until her terminal is closed.
ANNA = """
import sys
from edgekit.devices.leasing.leases import leased
from edgekit.devices.remote.ssh import SshShell
with leased(SshShell("pi5", "pi5", config=sys.argv[1]), "anna", owner="anna@desk"):
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The folder in which a reader types, with a bundle of the form that the pages name: an .onnx file for images."""
    folder = tmp_path / "desk"
    folder.mkdir()
    small_bundle(folder / "digits-bundle", ImageInput(8, 8, 1), name="digits", labels=("7", "1", "2"))
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(folder / "seven.png")
    return folder


def environment(folder: Path, scripts: Mapping[str, str]) -> dict[str, str]:
    """One short launch per measurement, an inventory of their own, and programs that know the stand-ins."""
    return {
        "PATH": programs(folder / "bin", scripts),
        "EDGEKIT_DEVICES": str(folder / "desk" / "devices.toml"),
        "EDGEKIT_CACHE": str(cache_folder() / "wheels"),
        "EDGEKIT_LAUNCHES": "1",
    }


@pytest.mark.slow
@pytest.mark.device
def test_a_raspberry_pi(desk: Path, tmp_path: Path) -> None:
    with required(), running_pi(PI5, host="pi5", prepared=True) as pi:
        ssh = ssh_program({"pi@raspberrypi.local": (pi.host, pi.config)})

        Reader(desk, environment(tmp_path, {"ssh": ssh})).follow(page("raspberry-pi.md"))

        assert not (pi.home / ".cache/edgekit").exists()


@pytest.mark.slow
@pytest.mark.device
def test_an_android_phone(desk: Path, tmp_path: Path) -> None:
    with required(), running_phone() as phone:
        server = {"ANDROID_ADB_SERVER_PORT": str(phone.server_port)}
        # The page installs these libraries with apt.
        replaced = {"prepare phone": f"prepare phone --libraries {arm64_root()}"}

        Reader(desk, environment(tmp_path, {}) | server, replaced).follow(page("android.md"))

        assert not phone.folder.exists()


@pytest.mark.slow
@pytest.mark.browser
def test_the_browser_of_a_phone(desk: Path, tmp_path: Path) -> None:
    require_packages()
    browser = Browser(tmp_path)

    def heard(said: str, typed: str) -> None:
        """The owner of the phone opens the address as soon as it is printed."""
        del typed
        if not browser.processes and (address := re.search(r"Open (\S+) in the phone's browser", said)):
            browser.open(address[1])

    try:
        variables = environment(tmp_path, {}) | {"EDGEKIT_CACHE": str(cache_folder())}
        Reader(desk, variables, heard=heard).follow(page("phone-browser.md"))
    finally:
        browser.close()


@pytest.mark.slow
@pytest.mark.device
def test_several_devices(desk: Path, tmp_path: Path) -> None:
    others: list[subprocess.Popen[str]] = []

    def heard(said: str, typed: str) -> None:
        """Anna ends as soon as someone waits for her."""
        del typed
        if others and "; waiting." in said:
            end(others)

    (tmp_path / "hosts").mkdir()
    with required(), running_desk(tmp_path / "hosts", ["pi4", "pi5"], launch_s=None) as hosts:
        before = {
            "stand-in: pi4 is switched off": hosts[0].kill,
            "stand-in: pi4 is switched on": hosts[0].start,
            "stand-in: anna measures on pi5": lambda: others.append(anna(hosts[1])),
        }
        ssh = ssh_program({f"pi@{one.name}.local": (one.name, one.config) for one in hosts})
        try:
            Reader(desk, environment(tmp_path, {"ssh": ssh}), before=before, heard=heard).follow(
                page("fleet-of-devices.md")
            )
        finally:
            end(others)


def anna(host: Host) -> subprocess.Popen[str]:
    """Another user, who has the device when this returns."""
    command = [sys.executable, "-c", ANNA, str(host.config)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def end(others: list[subprocess.Popen[str]]) -> None:
    """Close the terminals of the other users."""
    while others:
        others.pop().communicate(timeout=60)


def require_packages() -> None:
    """Fetch the backends for browsers into the cache of stand-ins, once."""
    with required():
        try:
            fetch(cache_folder())
        except EnvironmentFault as err:
            raise Missing(err.message) from err


def deploy_page(*, on_a_device: bool) -> list[Step]:
    """The commands of deploy.md: those about a device, or all others."""
    found = page("deploy.md")
    first = next(place for place, step in enumerate(found) if "devices add" in step.typed)
    return found[first:] if on_a_device else found[:first]


@pytest.mark.slow
@pytest.mark.browser
def test_programs_of_ones_own(desk: Path, tmp_path: Path) -> None:
    require_packages()
    with required():
        if shutil.which("gcc") is None:
            raise Missing("a C compiler: apt-get install gcc")
    port, tested = free_port(), []
    npm = f"mkdir $3/node_modules && ln -s {place(cache_folder(), PACKAGES[0])} $3/node_modules/onnxruntime-web"
    library = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.1*"))
    replaced = {"/usr/lib/libonnxruntime.so.1": str(library), "http.server 8000": f"http.server {port}"}

    def heard(said: str, typed: str) -> None:
        """The page is opened while its server runs."""
        del said
        if "http.server" in typed:
            await_server(port)
            with Chromium(tmp_path) as browser:
                tested.append(ended(browser.open(f"http://127.0.0.1:{port}/?self-test")))

    Reader(desk, environment(tmp_path, {"npm": npm}), replaced, heard=heard).follow(deploy_page(on_a_device=False))

    assert tested == [(f"6 cases, all as expected (onnxruntime-web {PACKAGES[0].version})", [])]


def await_server(port: int) -> None:
    """Wait until someone listens on the port of loopback."""
    end = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.device
def test_a_program_on_a_device(desk: Path, tmp_path: Path) -> None:
    with required(), running_pi(PI5, host="pi5", prepared=True) as pi:
        ssh = ssh_program({"pi@raspberrypi.local": (pi.host, pi.config)})

        Reader(desk, environment(tmp_path, {"ssh": ssh})).follow(deploy_page(on_a_device=True))
