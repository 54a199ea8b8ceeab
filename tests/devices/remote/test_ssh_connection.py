"""Promises of devices/remote/ssh.py: what the user's ssh may do for edgekit, and what each refusal is called."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.standins.account import running_account
from tests.standins.cache import required
from tests.standins.pi import Pi, free_port
from tests.standins.wire import silent_server

from edgekit.core.errors import DeviceError, DeviceUnavailable, EnvironmentFault, UserError
from edgekit.core.system.processes import Finished, start
from edgekit.devices.remote import ssh
from edgekit.devices.remote.ssh import SshShell
from edgekit.devices.remote.ssh_hints import SshHints

# What a user may have configured for people, and what no device may get from edgekit.
LAVISH = """Host *
    BatchMode no
    StrictHostKeyChecking no
    ConnectTimeout 900
    ServerAliveInterval 0
    ServerAliveCountMax 99
    ForwardAgent yes
    PermitLocalCommand yes
    LocalCommand touch {marker}
    RemoteCommand bash
    RequestTTY force
    LocalForward 7777 localhost:22
"""
EXPECTED = {
    "batchmode": "yes",
    "stricthostkeychecking": "true",
    "connecttimeout": "10",
    "serveraliveinterval": "5",
    "serveralivecountmax": "3",
    "clearallforwardings": "yes",
    "forwardagent": "no",
    "permitlocalcommand": "no",
    "requesttty": "false",
}


def settings(shell: SshShell) -> dict[str, str]:
    """What ssh itself understands of the command that edgekit starts."""
    command = [*shell._program(), "-G", shell.address]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: value for name, _, value in (line.partition(" ") for line in said.splitlines())}


def test_no_configuration_lets_ssh_ask_forward_or_accept(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(LAVISH.format(marker=tmp_path / "marker"))

    found = settings(SshShell("pi", "me@host", port=2222, config=str(config)))

    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert found.get("remotecommand", "none") == "none"
    assert (found["user"], found["port"]) == ("me", "2222")


def test_an_address_that_is_an_option_is_no_address() -> None:
    with pytest.raises(UserError, match=r"^'-oProxyCommand=x' is not a valid ssh address\.$") as caught:
        SshShell("pi", "-oProxyCommand=x")

    assert caught.value.hint == "edgekit devices add pi --ssh pi@raspberrypi"


def test_a_machine_without_ssh_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EnvironmentFault, match=r"^The program 'ssh' is not installed") as caught:
        SshShell("pi", "host")

    assert "openssh-client" in caught.value.hint


@pytest.fixture
def shell() -> SshShell:
    return SshShell("pi", "me@host")


@pytest.mark.parametrize(
    ("said", "kind", "message", "hint"),
    [
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nthe key\n"
            '  ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[host]:22"\nHost key verification failed.',
            DeviceError,
            "The host key of 'pi' (ssh, me@host) has changed: it was reinstalled, or it is a different machine.",
            "ssh-keygen -f '/home/me/.ssh/known_hosts' -R '[host]:22'   # if you know why; then: ssh me@host",
        ),
        (
            "REMOTE HOST IDENTIFICATION HAS CHANGED",
            DeviceError,
            "The host key of 'pi' (ssh, me@host) has changed: it was reinstalled, or it is a different machine.",
            "ssh-keygen -R host   # if you know why; then: ssh me@host",
        ),
        (
            "No ED25519 host key is known.\nHost key verification failed.",
            DeviceError,
            "The host key of 'pi' (ssh, me@host) is unknown.",
            "ssh me@host   # compare its fingerprint once",
        ),
        (
            "Received disconnect: Too many authentication failures",
            DeviceError,
            "'pi' (ssh, me@host) does not accept any of your keys.",
            "ssh-copy-id me@host",
        ),
        (
            "me@host: Permission denied (publickey).",
            DeviceError,
            "'pi' (ssh, me@host) does not accept any of your keys.",
            "ssh-copy-id me@host",
        ),
        (
            "ssh: connect to host host port 22: Connection timed out",
            DeviceUnavailable,
            "No response from 'pi' (ssh, me@host) within 10 s.",
            "ssh me@host   # is it on, in the network, and is this its address?",
        ),
        (
            "/home/me/.ssh/config: line 3: Bad configuration option: x\nterminating, 1 bad configuration options",
            UserError,
            "ssh cannot read its configuration: terminating, 1 bad configuration options",
            "ssh me@host -v",
        ),
        (
            "Can't open user config file /none: No such file or directory",
            UserError,
            "ssh cannot read its configuration: Can't open user config file /none: No such file or directory",
            "ssh me@host -v",
        ),
        (
            "first\nssh: connect to host host port 22: Connection refused ",
            DeviceUnavailable,
            "No response from 'pi' (ssh, me@host) (ssh: connect to host host port 22: Connection refused).",
            "ssh me@host   # is it on, in the network, and is this its address?",
        ),
        (
            "",
            DeviceUnavailable,
            "No response from 'pi' (ssh, me@host) (ssh gave no reason).",
            "ssh me@host   # is it on, in the network, and is this its address?",
        ),
    ],
)
def test_what_ssh_says_becomes_an_error_with_the_next_command(
    shell: SshShell, said: str, kind: type[Exception], message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SshHints, "_key_files", lambda _: [])

    found = shell._explained(said)

    assert (type(found), found.message, found.hint) == (kind, message, hint)


@pytest.mark.parametrize(
    ("finished", "has_begun", "kind", "message"),
    [
        (
            Finished(255, b"", "noise\nclient_loop: send disconnect: Broken pipe\n"),
            True,
            DeviceUnavailable,
            "The connection to 'pi' (ssh, me@host) was lost: client_loop: send disconnect: Broken pipe",
        ),
        (
            Finished(255, b"", ""),
            False,
            DeviceUnavailable,
            "The connection to 'pi' (ssh, me@host) was lost: ssh gave no reason",
        ),
        (
            Finished(1, b"", ""),
            True,
            DeviceUnavailable,
            "The connection to 'pi' (ssh, me@host) was lost: ssh gave no reason",
        ),
        (
            Finished(1, b"Hello\n no shell for you \n", "err"),
            False,
            DeviceError,
            "The login shell of 'pi' (ssh, me@host) does not run commands: no shell for you",
        ),
        (
            Finished(1, b"", "x" * 200),
            False,
            DeviceError,
            f"The login shell of 'pi' (ssh, me@host) does not run commands: {'x' * 120}",
        ),
        (
            Finished(1, b"", ""),
            False,
            DeviceError,
            "The login shell of 'pi' (ssh, me@host) does not run commands: it printed nothing",
        ),
    ],
)
def test_a_command_that_did_not_end_is_a_lost_connection_or_no_shell(
    shell: SshShell, finished: Finished, has_begun: bool, kind: type[Exception], message: str
) -> None:
    found = shell.problem(finished, has_begun=has_begun)

    assert (type(found), found.message) == (kind, message)
    assert found.hint == (
        "edgekit devices check pi"
        if kind is DeviceUnavailable
        else "ssh me@host uname -m   # must print the architecture: use another account"
    )


@pytest.mark.parametrize(
    ("script", "printed", "message"),
    [
        ("echo sorry >&2; exit 1", b" \n", "The login shell of 'pi' (ssh, me@host) does not run commands: sorry"),
        ("echo sorry >&2; exit 1", b"a menu\n", "The login shell of 'pi' (ssh, me@host) does not run commands: a menu"),
        ("sleep 60", b"a menu\n", "The login shell of 'pi' (ssh, me@host) does not run commands: a menu"),
        ("exit 0", b"", "The login shell of 'pi' (ssh, me@host) does not run commands: it printed nothing"),
        ("sleep 60", b"\n", "No response from 'pi' (ssh, me@host) within 30 s."),
        ("echo timed out >&2; exit 255", b"a menu\n", "No response from 'pi' (ssh, me@host) within 10 s."),
    ],
)
def test_why_there_is_no_connection_is_what_was_printed_last(
    shell: SshShell, script: str, printed: bytes, message: str
) -> None:
    process = start(["sh", "-c", script])
    shell._master = process
    if "sleep" not in script:
        process.wait(20)

    found = shell._refusal(process, printed)

    assert found.message == message
    assert process.poll() is not None


def test_the_socket_has_a_short_path_also_where_temporary_files_have_long_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))

    folder = Path(ssh._socket_folder())
    try:
        assert folder.parent == Path("/tmp")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(deep.iterdir()) == []
    finally:
        folder.rmdir()


def heard(script: str, timeout_s: float = 20) -> tuple[bytes, bool]:
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        try:
            return ssh._heard(process, b"ready", timeout_s)
        finally:
            process.kill()


def test_a_login_shell_is_heard_until_it_is_ready_ends_or_says_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    assert heard("echo motd; echo ready; sleep 30") == (b"motd\nready\n", True)
    assert heard("echo motd") == (b"motd\n", False)
    assert heard("echo motd; sleep 30", 0.5) == (b"motd\n", False)

    monkeypatch.setattr(ssh, "_MOST_HEARD_BYTES", 10_000)
    said, is_ready = heard("while :; do echo 0123456789; done")
    assert not is_ready
    assert 10_000 <= len(said) <= 10_000 + 4096


def test_a_host_that_says_nothing_is_given_up_and_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "CONNECT_TIMEOUT_S", 1)
    monkeypatch.setattr(ssh, "_START_TIMEOUT_S", 2)
    with silent_server() as port:
        shell = SshShell("pi", "me@127.0.0.1", port=port)
        with pytest.raises(DeviceUnavailable) as caught:
            shell.connect()

    assert caught.value.message == "No response from 'pi' (ssh, me@127.0.0.1) within 3 s."
    assert (shell._master, shell._folder) == (None, "")


def test_a_port_where_nothing_listens_is_said_by_ssh() -> None:
    shell = SshShell("pi", "me@127.0.0.1", port=free_port())

    with pytest.raises(
        DeviceUnavailable, match=r"^No response from 'pi' \(ssh, me@127\.0\.0\.1\) \(ssh: connect to host"
    ):
        shell.connect()
    assert (shell._master, shell._folder) == (None, "")


@pytest.fixture(scope="module")
def machine() -> Iterator[Pi]:
    """This machine, over a real sshd on loopback."""
    with required(), running_account() as running:
        yield running


@pytest.mark.device
def test_all_commands_share_one_connection_until_it_is_closed(machine: Pi) -> None:
    shell = SshShell("host", machine.host, config=str(machine.config))
    shell.connect()
    master, folder = shell._master, Path(shell._folder)
    assert master is not None

    assert shell.run("echo one").text == "one"
    assert shell.run("exit 7").code == 7

    assert shell._master is master, "a second connection was opened"
    assert folder.is_dir()
    shell.close()
    shell.close()
    assert (master.poll() is None, folder.exists()) == (False, False)


@pytest.mark.device
def test_a_key_that_the_user_does_not_know_is_accepted_by_nobody(machine: Pi, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.touch()
    config = tmp_path / "config"
    config.write_text(machine.config.read_text().replace(str(machine.known_hosts), str(known)))
    shell = SshShell("host", machine.host, config=str(config))

    with pytest.raises(DeviceError, match=r"^The host key of 'host' .* is unknown"):
        shell.run("true")

    assert known.read_text() == ""
    assert (shell._master, shell._folder) == (None, "")


@pytest.mark.device
def test_a_connection_that_ended_is_opened_anew(machine: Pi) -> None:
    shell = SshShell("host", machine.host, config=str(machine.config))
    shell.connect()
    master, folder = shell._master, Path(shell._folder)
    assert master is not None
    os.kill(master.pid, 9)
    deadline = time.monotonic() + 20
    while master.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)

    try:
        assert shell.run("echo again").text == "again"
        assert shell._master is not master
        assert not folder.exists(), "the folder of the first connection was left"
    finally:
        shell.close()
