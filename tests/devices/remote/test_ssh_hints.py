"""Hints of the ssh transport: commands that reach the same device, on a real sshd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.standins.account import running_account
from tests.standins.cache import required
from tests.standins.pi import free_port

from edgekit.core.errors import DeviceError, DeviceUnavailable
from edgekit.devices.remote import ssh_hints
from edgekit.devices.remote.readiness import check
from edgekit.devices.remote.ssh import SshShell
from edgekit.devices.remote.ssh_hints import SshHints
from edgekit.runtime.portable import C_RUNNERS


def test_a_command_keeps_user_port_and_configuration() -> None:
    hints = SshHints("me@lab", 2222, "/my files/config")

    assert hints.command() == "ssh -F '/my files/config' -p 2222 me@lab"
    assert hints.command("ssh-copy-id") == "ssh-copy-id -F '/my files/config' -p 2222 me@lab"
    assert SshHints("lab").command("ssh", "uname") == "ssh lab uname"


def test_keys_are_those_that_ssh_would_use_and_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "my key").touch()
    config = tmp_path / "config"
    config.write_text(f'Host *\n  IdentityFile "{tmp_path}/my key"\n  IdentityFile {tmp_path}/none\n')

    hints = SshHints("lab", config=str(config))

    assert hints._key_files() == [tmp_path / "my key"]
    assert hints.for_keys() == ("", f"ssh-copy-id -F {config} lab")


def test_a_program_that_does_not_run_says_nothing() -> None:
    assert ssh_hints._said(["edgekit-no-such-program"]) == ""


@pytest.mark.device
@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_a_key_with_a_passphrase_is_offered_to_an_agent(passphrase: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(key)], check=True)
    with required(), running_account() as machine:
        if passphrase:
            with (machine.state / "authorized_keys").open("a") as keys:
                keys.write(key.with_suffix(".pub").read_text())
        config = tmp_path / "config"
        config.write_text(machine.config.read_text().replace(f"{machine.state}/client_key", str(key)))
        shell = SshShell("host", "host", config=str(config))
        with pytest.raises(DeviceError, match="does not accept any of your keys") as caught:
            shell.run("true")

    if passphrase:
        assert f"'{key}' has a passphrase" in caught.value.message
        assert caught.value.hint == f'eval "$(ssh-agent)"; ssh-add {key}'
    else:
        assert caught.value.hint == f"ssh-copy-id -F {config} host"


def test_a_check_of_a_dead_host_does_not_recommend_itself() -> None:
    shell = SshShell("pi", "me@127.0.0.1", port=free_port())

    (found,) = check(shell, C_RUNNERS)

    assert (found.name, found.state) == ("connection", "problem")
    assert found.mend.startswith(f"ssh -p {shell._hints.port} me@127.0.0.1 ")
    with pytest.raises(DeviceUnavailable):
        shell.run("true")
