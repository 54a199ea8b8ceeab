"""Leases: one command at a time on a device, whoever comes, and whatever becomes of its owner. A real sshd."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.standins.cache import required
from tests.standins.desk import Host, running_desk

from edgekit.core.errors import DeviceUnavailable
from edgekit.devices.leasing.leases import Holder, Lease, leased, new_token, take
from edgekit.devices.leasing.this_machine import ThisMachine
from edgekit.devices.remote import engines
from edgekit.devices.remote.ssh import SshShell
from edgekit.devices.web.browser import WebDevice
from edgekit.flows.fleet.holding import held, shell_of
from edgekit.flows.fleet.together import Stop

INTERLEAVINGS = 50
HOLD = """
import sys, time
from edgekit.devices.leasing import leases
from edgekit.devices.remote.ssh import SshShell
leases.LASTS_S = 8
with leases.leased(SshShell("pi", "pi", config=sys.argv[1]), "anna", owner="anna@desk"):
    print("holds", flush=True)
    time.sleep(60)
"""

KILLED = """
import time
from edgekit.devices.leasing.leases import leased, new_token
from edgekit.devices.leasing.this_machine import ThisMachine
with leased(ThisMachine(), new_token()):
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_LEASES", str(tmp_path / "leases"))
    return tmp_path / "leases"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with required(), running_desk(tmp_path, ["pi"], launch_s=0.0) as hosts:
        yield hosts[0]


def shell_to(host: Host) -> SshShell:
    return SshShell(host.name, host.name, config=str(host.config))


def test_the_second_is_told_who_has_the_device_and_since_when(folder: Path) -> None:
    here = ThisMachine()
    with leased(here, "anna", owner="anna@desk"):
        told = r"'local' is busy: used by anna@desk since \d{4}-"
        with pytest.raises(DeviceUnavailable, match=told) as caught, leased(here, "ben"):
            pass
        assert "--wait" in caught.value.hint

    with leased(here, "ben"):
        pass
    assert [one.name for one in folder.iterdir()] == ["lease.2"]


def test_the_port_of_a_page_is_leased_apart_from_this_machine(folder: Path) -> None:
    """Two users whose browsers open the same address: one page, so one command at a time."""

    def browser(port: int) -> WebDevice:
        return WebDevice("phone", {}, lambda url: None, port=port)

    with (
        leased(ThisMachine(), "anna", owner="anna@desk"),
        held(browser(8123), Stop()),
        held(browser(8124), Stop()),
        held(browser(0), Stop()),
        held(browser(0), Stop()),
    ):
        shell = shell_of(browser(8123))
        assert shell is not None
        with pytest.raises(DeviceUnavailable, match=r"'phone' is busy: used by .+ since"), leased(shell, "ben"):
            pass

    with leased(shell, "ben"):
        pass
    assert sorted(one.name for one in folder.iterdir()) == ["lease.1", "web-8123", "web-8124"]


def test_a_command_that_reaches_a_device_by_two_names_waits_for_itself(folder: Path) -> None:
    spans: list[tuple[str, float]] = []

    def work(name: str) -> None:
        with leased(ThisMachine(), "one-command"):
            spans.append((name, time.monotonic()))
            time.sleep(0.3)
            spans.append((name, time.monotonic()))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("pi", "pi-by-cable")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    names = [name for name, _ in sorted(spans, key=lambda span: span[1])]
    assert len(names) == 4
    assert names[0] == names[1]
    assert names[2] == names[3]


def test_a_lease_ends_with_its_time_and_its_owner_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.devices.leasing.leases.LASTS_S", 5)
    here = ThisMachine()
    first = take(here, "anna", "anna@desk")
    assert isinstance(first, Lease)
    assert isinstance(take(here, "ben"), Holder)
    time.sleep(6.1)  # the clock of leases has seconds

    assert isinstance(take(here, "ben"), Lease)
    with pytest.raises(DeviceUnavailable, match="was lost"):
        first.renew(0.0)


def test_a_file_that_its_owner_never_filled_holds_up_nobody(folder: Path) -> None:
    folder.mkdir()
    (folder / "lease.7").touch()

    assert isinstance(take(ThisMachine(), "ben"), Lease)
    assert [one.name for one in folder.iterdir()] == ["lease.8"]


def test_of_many_at_once_one_wins(folder: Path) -> None:
    found: list[Lease | Holder] = []
    threads = [threading.Thread(target=lambda: found.append(take(ThisMachine(), new_token()))) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)

    assert len(found) == 12
    assert sum(isinstance(one, Lease) for one in found) == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are named by /proc")
def test_a_command_of_this_machine_that_was_killed_holds_up_nobody(folder: Path) -> None:
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        here = ThisMachine()
        with pytest.raises(DeviceUnavailable, match="is busy"), leased(here, new_token()):
            pass
        os.kill(process.pid, signal.SIGKILL)

    with leased(here, new_token()):
        assert [one.name for one in folder.iterdir()] == ["lease.2"]


@pytest.mark.parametrize(
    "token",
    [
        "ek00000000-0000-1-1-00000000-000000",  # of another machine
        "ek00000000-0000-1-1-00000000-$(touch${IFS}planted)",
        '"$(touch${IFS}planted)"',
    ],
)
def test_what_is_not_known_to_have_ended_keeps_its_lease(folder: Path, token: str) -> None:
    folder.mkdir()
    now = int(time.time())
    (folder / "lease.1").write_text(f"{token} anna@desk {now} {now + 50}\n")

    with pytest.raises(DeviceUnavailable, match="used by anna@desk"), leased(ThisMachine(), new_token()):
        pass
    assert [one.name for one in folder.iterdir()] == ["lease.1"]


@pytest.mark.slow
@pytest.mark.device
def test_who_is_killed_on_another_machine_frees_the_device_when_the_lease_ends(host: Host) -> None:
    command = [sys.executable, "-c", HOLD, str(host.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        os.kill(process.pid, signal.SIGKILL)

    shell = shell_to(host)
    found = take(shell, "ben")
    assert isinstance(found, Holder)
    assert found.owner == "anna@desk"
    with leased(shell, "ben", wait_s=30):
        pass
    shell.close()


@pytest.mark.slow
@pytest.mark.device
def test_two_users_damage_nothing_in_random_interleavings(host: Host, tmp_path: Path) -> None:
    shutil.rmtree(host.home / ".cache")
    archives = [archive(tmp_path / user, user) for user in ("anna", "ben")]
    faults: list[BaseException] = []

    def work(user: int) -> None:
        rng = random.Random(user)
        shell = shell_to(host)
        try:
            for _ in range(INTERLEAVINGS // 2):
                time.sleep(rng.uniform(0, 0.2))
                with leased(
                    shell, f"user{user}", wait_s=300, owner=f"user{user}@desk", pause=lambda _: time.sleep(0.1)
                ):
                    act(shell, rng.choice(["prepare", "clean", "launch"]), archives[user])
        except BaseException as err:  # noqa: BLE001 - raised by the test
            faults.append(err)
        finally:
            shell.close()

    threads = [threading.Thread(target=work, args=(user,)) for user in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(500)

    assert faults == []
    log = (host.state / "inside.log").read_text().splitlines()
    assert log == ["in", "out"] * INTERLEAVINGS


def archive(folder: Path, content: str) -> Path:
    """A small archive in the form that `prepare` sends."""
    (folder / "site").mkdir(parents=True)
    (folder / "site/.complete").write_text(content)
    (folder / "site/big").write_bytes(content.encode() * 20_000)
    with tarfile.open(folder / "site.tar.gz", "w:gz") as tar:
        for name in (".complete", "big"):
            tar.add(folder / "site" / name, name)
    return folder / "site.tar.gz"


def act(shell: SshShell, kind: str, archive: Path) -> None:
    """One command of a user, which notes when it begins and ends."""
    shell.run('echo in >> "$HOME/../inside.log"')
    if kind == "clean":
        engines.clean(shell)
    else:
        engines.install(shell, archive, "site", ())
        if kind == "launch":
            time.sleep(0.1)
        found = shell.run(f'cat "{shell.root}/site/.complete"')
        assert found.text == archive.parent.name, found
    shell.run('echo out >> "$HOME/../inside.log"')
