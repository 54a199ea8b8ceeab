"""Promises of the user's policy: with `require_signature`, nothing unsigned is opened, run, deployed or checked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.flows.deploying.small_bundles import small_bundle
from tests.flows.signing.keys import allow, new_key
from tests.standins.local_shell import LocalShell

import edgekit
from edgekit.cli.main import run as edgekit_command
from edgekit.core.errors import DeviceError, UserError
from edgekit.core.system.files import sha256_file
from edgekit.devices import inventory
from edgekit.devices.inventory import Entry
from edgekit.devices.remote.installed_programs import PURPOSE, install_program, installed, roll_back
from edgekit.flows.deploy import install_order
from edgekit.flows.signing.bundle_signatures import sign_bundle
from edgekit.flows.signing.policy import user_policy
from edgekit.flows.signing.ssh_signatures import sign

# What a program that `deploy` sends does first; a zip for the interpreter, or any file that it runs.
PROGRAM = "print('{} ran')\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who requires signatures and allows those of anna."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
    folder = home / ".config" / "edgekit"
    allow(folder / "allowed_signers", new_key(tmp_path, "anna"), "anna")
    (folder / "config.toml").write_text("require_signature = true\n")
    return home


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return small_bundle(tmp_path / "bundle")


def load(path: Path) -> None:
    with edgekit.load(path) as session:
        session.run({"x": np.zeros([1, *map(int, session.inputs[0].shape[1:])], np.float32)})


def commands(path: Path) -> list[list[str]]:
    text = str(path)
    return [
        ["run", text, "--input", "sample:0"],
        ["profile", text, "--dry-run"],
        ["validate", text],
        ["tune", text, "--dry-run"],
        ["compare", text, text, "--dry-run"],
        ["bisect", text, "onnx-fp32", "onnx-fp32"],
        ["deploy", text, "--for", "python", "--out", f"{text}-program", "--dry-run"],
        ["check", "--config", str(path.parent / "edgekit.toml"), "--dry-run"],
        ["bundle", "verify", text],
    ]


@pytest.mark.slow
def test_every_command_that_uses_a_bundle_refuses_an_unsigned_one(
    home: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "edgekit.toml").write_text('[[check.models]]\npath = "bundle"\n')

    for command in commands(bundle):
        code = edgekit_command(command)
        said = capsys.readouterr()
        assert (code, said.out) == (2, ""), command
        assert "is not signed, and your settings require a signature" in said.err, command
    with pytest.raises(UserError, match="is not signed"):
        load(bundle)
    sign_bundle(bundle, tmp_path / "anna")
    for command in commands(bundle):
        assert edgekit_command([*command, "--json"]) in (0, 1, 4), (command, capsys.readouterr().err)
    load(bundle)


def test_a_bundle_that_someone_else_signed_and_a_bare_file_are_refused(
    home: Path, bundle: Path, tmp_path: Path
) -> None:
    sign_bundle(bundle, new_key(tmp_path, "eve"))

    with pytest.raises(UserError, match="is not a key in"):
        load(bundle)
    with pytest.raises(UserError, match="a model file, which has no signature"):
        load(bundle / "onnx-fp32.onnx")
    (home / ".config/edgekit/allowed_signers").unlink()
    with pytest.raises(UserError, match="No one may sign"):
        load(bundle)


def test_a_project_has_no_say(home: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    allow(project / "signers", new_key(tmp_path, "eve"), "eve")
    sign_bundle(bundle, tmp_path / "eve")
    monkeypatch.chdir(project)

    for text in ("require_signature = false", 'allowed_signers = "signers"'):
        (project / "edgekit.toml").write_text(f"{text}\n")
        with pytest.raises(UserError, match="is not a key in"):
            load(bundle)
        assert edgekit_command(["run", str(bundle), "--input", "sample:0"]) == 2


def test_the_environment_of_ci_sets_the_policy(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".config/edgekit/config.toml").unlink()
    assert not user_policy().is_required

    monkeypatch.setenv("EDGEKIT_REQUIRE_SIGNATURE", "1")
    monkeypatch.setenv("EDGEKIT_ALLOWED_SIGNERS", str(tmp_path / "ci"))

    assert (user_policy().is_required, user_policy().allowed) == (True, tmp_path / "ci")


def test_a_path_in_the_user_file_is_relative_to_it(home: Path) -> None:
    (home / ".config/edgekit/config.toml").write_text('allowed_signers = "team"\n')

    assert user_policy().allowed == home / ".config/edgekit/team"


# --- devices


@pytest.fixture
def device(home: Path, tmp_path: Path) -> LocalShell:
    """A device whose user allows programs of anna."""
    account = tmp_path / "account"
    shutil.copytree(home, account)
    return LocalShell(account)


def program(folder: Path, text: str) -> Path:
    file = folder / f"{text}.pyz"
    file.write_text(PROGRAM.format(text))
    return file


def signature(file: Path, key: Path, purpose: str = PURPOSE) -> Path:
    made = file.with_name(f"{file.name}.sig")
    made.write_bytes(sign(file, key, purpose))
    return made


def test_a_device_runs_only_programs_that_its_user_allows(device: LocalShell, tmp_path: Path) -> None:
    first, other = program(tmp_path, "first"), program(tmp_path, "other")
    version, said = install_program(device, "net", first, signature=signature(first, tmp_path / "anna"))
    assert said == "first ran"

    eve = new_key(tmp_path, "eve")
    refused: list[tuple[Callable[[], Path | None], str]] = [
        (lambda: None, "is not signed"),
        (lambda: signature(other, eve), "not signed by anyone in"),
        (lambda: signature(first, tmp_path / "anna"), "does not match the program"),
        (lambda: signature(other, tmp_path / "anna", "edgekit-bundle"), "does not match the program"),
    ]
    for make, reason in refused:
        with pytest.raises(DeviceError, match=reason) as caught:
            install_program(device, "net", other, signature=make())
        assert "ran" not in caught.value.message
        assert "--key KEY" in caught.value.hint
    (net,) = installed(device)
    assert (net.current, net.versions) == (version, (version,))


def test_a_device_verifies_before_every_start_and_before_going_back(device: LocalShell, tmp_path: Path) -> None:
    for text in ("first", "second"):
        file = program(tmp_path, text)
        install_program(device, "net", file, signature=signature(file, tmp_path / "anna"))
    folder = device.home / ".local/share/edgekit/deployed/net"
    old = sorted((folder / "versions").iterdir())[0]
    (old / "model.pyz").write_text(PROGRAM.format("eve"))

    with pytest.raises(DeviceError, match="does not match the program"):
        roll_back(device, "net")
    started = device.run(f'"{old}/run" --self-test')
    assert (started.code, started.out) == (7, b"")
    assert "does not match the program" in started.err
    assert device.run(f'"{folder}/current/run"').text == "second ran"


def test_without_ssh_keygen_a_device_that_requires_signatures_runs_nothing(device: LocalShell, tmp_path: Path) -> None:
    file = program(tmp_path, "first")
    proof = signature(file, tmp_path / "anna")
    tools = tmp_path / "tools"
    tools.mkdir()
    for path in (*Path("/bin").iterdir(), Path("/usr/bin/env")):
        if path.name != "ssh-keygen" and not (tools / path.name).exists():
            (tools / path.name).symlink_to(path)
    device._path = str(tools)

    with pytest.raises(DeviceError, match="there is no 'ssh-keygen'"):
        install_program(device, "net", file, signature=proof)


def test_who_requires_signatures_refuses_a_device_that_does_not(home: Path, bundle: Path, tmp_path: Path) -> None:
    sign_bundle(bundle, tmp_path / "anna")
    inventory.add("pi", Entry(ssh="pi"))
    file, careless = program(tmp_path, "first"), LocalShell(tmp_path)

    with pytest.raises(UserError, match="the program would have none"), install_order(bundle, device="pi"):
        pass
    with install_order(bundle, device="pi", key=tmp_path / "anna") as order:
        assert order.must_verify
    with pytest.raises(DeviceError, match=r"it has no file '.*/\.config/edgekit/allowed_signers'") as caught:
        install_program(careless, "net", file, signature=signature(file, tmp_path / "anna"), must_verify=True)
    assert caught.value.hint == "scp ~/.config/edgekit/allowed_signers here:.config/edgekit/allowed_signers"
    assert installed(careless) == ()


def test_what_the_signature_is_of_is_what_was_sent(tmp_path: Path, home: Path, bundle: Path) -> None:
    sign_bundle(bundle, tmp_path / "anna")
    inventory.add("pi", Entry(ssh="pi"))
    file = program(tmp_path, "first")

    with install_order(bundle, device="pi", key=tmp_path / "anna") as order:
        proof = order._signature(file)

    assert proof is not None
    assert sha256_file(proof) == sha256_file(signature(file, tmp_path / "anna"))
    assert any("sign the program" in step for step in order.steps())


def test_without_the_policy_nothing_changes(home: Path, bundle: Path, tmp_path: Path) -> None:
    (home / ".config/edgekit/config.toml").unlink()

    load(bundle)
    file = program(tmp_path, "first")
    assert install_program(LocalShell(tmp_path), "net", file)[1] == "first ran"
