"""Promises of flows/signing: a signature covers every byte of a bundle, and only the allowed may sign."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.test_bundle import write_bundle
from tests.flows.signing.keys import allow, new_key

from edgekit.core.bundle import MANIFEST, SIGNATURE, Bundle, pack, write_manifest
from edgekit.core.errors import EdgekitError, EnvironmentFault, Unreadable, UserError
from edgekit.flows.signing.bundle_signatures import sign_bundle, verify_bundle
from edgekit.flows.signing.policy import verified
from edgekit.flows.signing.ssh_signatures import Signer, is_canonical

Form = Callable[[], Path]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of anna, who is allowed to sign, and of eve, who is not."""
    folder = tmp_path_factory.mktemp("keys")
    new_key(folder, "eve")
    allow(folder / "allowed", new_key(folder, "anna"), "anna@example.com")
    return folder


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """A folder with a signed bundle in both forms."""
    folder = tmp_path_factory.mktemp("signed")
    sign_bundle(write_bundle(folder / "net"), keys / "anna")
    with Bundle.open(folder / "net") as bundle:
        pack(bundle, folder / "net.edgekit")
    return folder


def verify(path: Path, keys: Path) -> Signer:
    with Bundle.open(path) as bundle:
        return verify_bundle(bundle, keys / "allowed")


@pytest.mark.parametrize("form", ["net", "net.edgekit"])
def test_whoever_signed_is_named(form: str, signed: Path, keys: Path) -> None:
    signer = verify(signed / form, keys)

    fingerprint = subprocess.run(
        ["ssh-keygen", "-l", "-f", keys / "anna.pub"], capture_output=True, text=True, check=True
    )
    assert signer == Signer("anna@example.com", fingerprint.stdout.split()[1])
    with Bundle.open(signed / form) as bundle:
        assert verified(bundle, key=keys / "anna.pub") == Signer("anna.pub", signer.key)


def test_signing_the_packed_file_is_signing_and_then_packing(signed: Path, keys: Path, tmp_path: Path) -> None:
    with Bundle.open(write_bundle(tmp_path / "net")) as bundle:
        pack(bundle, tmp_path / "net.edgekit")

    sign_bundle(tmp_path / "net.edgekit", keys / "anna")

    assert verify(tmp_path / "net.edgekit", keys).name == "anna@example.com"
    # Ed25519 is deterministic: two signatures of equal content are equal.
    assert (tmp_path / "net.edgekit").read_bytes() == (signed / "net.edgekit").read_bytes()


# Every example starts ssh-keygen up to three times.
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_any_changed_byte_of_a_packed_bundle_is_found(
    place: float, mask: int, signed: Path, keys: Path, tmp_path: Path
) -> None:
    data = bytearray((signed / "net.edgekit").read_bytes())
    data[int(place * len(data))] ^= mask
    changed = tmp_path / "changed.edgekit"
    changed.write_bytes(data)

    with pytest.raises(EdgekitError) as caught:
        verify(changed, keys)

    assert caught.value.exit_code in (2, 5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_any_changed_byte_of_a_folder_is_found(
    place: float, mask: int, signed: Path, keys: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "net"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(signed / "net", copy)
    everywhere = [(path, at) for path in sorted(copy.rglob("*")) if path.is_file() for at in range(path.stat().st_size)]
    path, at = everywhere[int(place * len(everywhere))]
    data = bytearray(path.read_bytes())
    data[at] ^= mask
    path.write_bytes(data)

    with pytest.raises(EdgekitError) as caught:
        verify(copy, keys)

    assert caught.value.exit_code in (2, 5)


def test_every_byte_of_the_signature_and_of_the_frame_of_the_zip_counts(
    signed: Path, keys: Path, tmp_path: Path
) -> None:
    # What no checksum in the bundle covers: the time in an entry's header, and one character of the signature.
    data = (signed / "net.edgekit").read_bytes()
    changed = tmp_path / "net.edgekit"
    for at in (10, data.index(b"-----BEGIN SSH") + 200, data.index(b"PK\x01\x02") + 38, len(data) - 1):
        changed.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(EdgekitError):
            verify(changed, keys)
    changed.write_bytes(data + b"\0")
    with pytest.raises(EdgekitError):
        verify(changed, keys)


def test_a_file_that_was_added_is_found(signed: Path, keys: Path, tmp_path: Path) -> None:
    folder, packed = tmp_path / "net", tmp_path / "net.edgekit"
    shutil.copytree(signed / "net", folder)
    shutil.copyfile(signed / "net.edgekit", packed)
    (folder / "weights" / "more").write_bytes(b"")
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("more", b"")

    for path in (folder, packed):
        with pytest.raises(Unreadable, match="more"):
            verify(path, keys)


def test_content_that_was_signed_again_by_someone_else_is_refused(signed: Path, keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    shutil.copytree(signed / "net", folder)
    (folder / "LICENCE").write_text("mine")
    with Bundle.open(signed / "net") as bundle:
        write_manifest(folder, bundle.manifest)

    with pytest.raises(Unreadable, match="does not match"):
        verify(folder, keys)
    sign_bundle(folder, keys / "eve")
    with pytest.raises(UserError, match="not a key in"):
        verify(folder, keys)
    with Bundle.open(folder) as bundle, pytest.raises(UserError, match=r"not a key in '.*anna\.pub'"):
        verified(bundle, key=keys / "anna.pub")


def test_a_signature_for_another_purpose_or_after_its_time_is_refused(signed: Path, keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    shutil.copytree(signed / "net", folder)
    old = allow(tmp_path / "old", keys / "anna", "anna@example.com", 'valid-before="20200101"')
    commits = allow(tmp_path / "commits", keys / "anna", "anna@example.com", 'namespaces="git"')

    for allowed in (old, commits):
        with Bundle.open(folder) as bundle, pytest.raises(UserError):
            verify_bundle(bundle, allowed)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(keys / "anna"), "-n", "git"]
    with (folder / MANIFEST).open("rb") as stream:
        made = subprocess.run(command, stdin=stream, capture_output=True, check=True).stdout
    (folder / SIGNATURE).write_bytes(made)
    with pytest.raises(Unreadable, match="does not match"):
        verify(folder, keys)


def test_packing_keeps_the_signature_and_a_new_bundle_has_none(signed: Path, keys: Path, tmp_path: Path) -> None:
    with Bundle.open(signed / "net.edgekit") as bundle:
        pack(bundle, tmp_path / "again.edgekit")
        pack(bundle, tmp_path / "one.edgekit", only=bundle.artifacts[0])

    assert verify(tmp_path / "again.edgekit", keys).name == "anna@example.com"
    with pytest.raises(Unreadable, match="not signed"):
        verify(tmp_path / "one.edgekit", keys)


def test_why_a_key_does_not_sign_is_said(
    signed: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (signed / "net" / SIGNATURE).read_bytes()

    with pytest.raises(UserError, match="There is no key"):
        sign_bundle(signed / "net", tmp_path / "none")
    with pytest.raises(UserError, match="needs a passphrase"):
        sign_bundle(signed / "net", new_key(tmp_path, "locked", passphrase="secret"))
    with Bundle.open(signed / "net") as bundle, pytest.raises(UserError, match="not a public key"):
        verified(bundle, key=keys / "anna")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="not installed") as caught:
        sign_bundle(signed / "net", keys / "anna")
    assert caught.value.hint == "apt install openssh-client"
    assert (signed / "net" / SIGNATURE).read_bytes() == before


@given(st.binary(max_size=300))
def test_no_other_text_is_a_canonical_signature(data: bytes) -> None:
    assert not is_canonical(data)


def test_the_agent_signs_with_a_key_that_it_holds(signed: Path, keys: Path, tmp_path: Path) -> None:
    shutil.copytree(signed / "net", tmp_path / "net")
    (tmp_path / "net" / SIGNATURE).unlink()
    public = shutil.copyfile(keys / "anna.pub", tmp_path / "anna.pub")
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    agent = dict(part.split("=", 1) for part in started.replace("\n", "").split(";") if part.startswith("SSH_"))
    try:
        subprocess.run(["ssh-add", "-q", keys / "anna"], env={**os.environ, **agent}, check=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSH_AUTH_SOCK", agent["SSH_AUTH_SOCK"])
            sign_bundle(tmp_path / "net", Path(public))
    finally:
        subprocess.run(["ssh-agent", "-k"], env={**os.environ, **agent}, capture_output=True, check=False)

    assert verify(tmp_path / "net", keys).name == "anna@example.com"


def test_a_byte_that_openssh_does_not_read_is_a_change_too(signed: Path, keys: Path, tmp_path: Path) -> None:
    shutil.copytree(signed / "net", tmp_path / "net")
    file = tmp_path / "net" / SIGNATURE
    text = file.read_bytes()

    for changed in (text + b"x", text.replace(b"\n", b"\n\n", 2), text.replace(b"\n", b"\r\n")):
        file.write_bytes(changed)
        with pytest.raises(Unreadable, match=r"signature of bundle '.*' is damaged"):
            verify(tmp_path / "net", keys)
