"""Signatures in the format of OpenSSH, made and verified by its own program `ssh-keygen`."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from edgekit.core.errors import BundleUnreadable, EnvironmentFault, UserError
from edgekit.core.system import processes
from edgekit.core.system.processes import Finished

# What a signature of a bundle is for: one that was made for something else, such as a commit of git, is none.
BUNDLES: Final = "edgekit-bundle"
_BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----\n"
_END: Final = b"-----END SSH SIGNATURE-----\n"
_COLUMNS: Final = 70
_MOST_BYTES: Final = 64 << 10
# A key in hardware waits for a touch.
_TIMEOUT_S: Final = 120.0
_KEY: Final = re.compile(r"[\w-]+ key (SHA256:\S+)")


@dataclass(frozen=True)
class Signer:
    """Who signed: the name in the file of allowed signers, and the fingerprint of the key."""

    name: str
    key: str


def sign(data: Path, key: Path, purpose: str) -> bytes:
    """The signature of the file `data` by the private key `key`, or by the agent that holds the one of a public key.

    Raises:
        UserError: There is no such key, or it needs a passphrase.
        EnvironmentFault: OpenSSH is not installed.
    """
    if not key.is_file():
        raise UserError(f"There is no key '{key}'.", hint="ssh-keygen -t ed25519")
    with data.open("rb") as stream:
        finished = _ssh_keygen("-Y", "sign", "-f", str(key), "-n", purpose, data=stream)
    signature = finished.out.replace(b"\r\n", b"\n")
    if finished.code or not is_canonical(signature):
        said = "it needs a passphrase" if "passphrase" in finished.err else _said(finished)
        raise UserError(f"'{key}' does not sign: {said}.", hint=f"ssh-add {key}, then --key {key}.pub")
    return signature


def verify(data: Path, signature: Path, allowed: Path, purpose: str, *, what: str, by: Path) -> Signer:
    """Who of the signers in `allowed` signed the file `data`.

    Args:
        what: What errors call the data: `bundle 'net.edgekit'`.
        by: The file that the user named for `allowed`: the same one, or that of a single public key.

    Raises:
        BundleUnreadable: The signature belongs to other content, or was made for another purpose.
        UserError: It is right, and no key in `allowed` made it.
        EnvironmentFault: OpenSSH is not installed.
    """
    key = _matching_key(data, signature, purpose, what)
    named = _ssh_keygen("-Y", "find-principals", "-f", str(allowed), "-s", str(signature))
    names = named.text.splitlines() if named.code == 0 else []
    if not names:
        raise UserError(
            f"Key '{key}' signed {what}, which is not a key in '{by}'.",
            hint="Sign it with a key in that file: edgekit bundle sign BUNDLE --key KEY",
        )
    with data.open("rb") as stream:
        options = ("-f", str(allowed), "-I", names[0], "-n", purpose, "-s", str(signature))
        finished = _ssh_keygen("-Y", "verify", *options, data=stream)
    if finished.code:
        raise UserError(
            f"'{by}' does not allow '{names[0]}' to sign {what}: {_said(finished)}.",
            hint=f"See the namespaces and dates of '{names[0]}' in '{by}': ssh-keygen(1), ALLOWED SIGNERS.",
        )
    return Signer(names[0], key)


def only(key: Path, folder: Path) -> Path:
    """A file of allowed signers in `folder` that contains the public key `key` alone, which is the name as well.

    Raises:
        UserError: It is not the file of a public key.
    """
    words = _public(key).split()
    if len(words) < 2 or not _is_base64(words[1]):
        raise UserError(f"'{key}' is not a public key of OpenSSH.", hint=f"ssh-keygen -y -f {key}")
    file = folder / "allowed_signers"
    file.write_text(f"{key.name.replace(' ', '_')} {words[0]} {words[1]}\n", encoding="utf-8")
    return file


def is_canonical(signature: bytes) -> bool:
    """Whether a signature is written in the one way in which OpenSSH writes it: every other byte is a change."""
    if len(signature) > _MOST_BYTES or not (signature.startswith(_BEGIN) and signature.endswith(_END)):
        return False
    body = signature[len(_BEGIN) : -len(_END)]
    try:
        content = base64.b64decode(body.replace(b"\n", b""), validate=True)
    except binascii.Error:
        return False
    text = base64.b64encode(content)
    lines = [text[start : start + _COLUMNS] + b"\n" for start in range(0, len(text), _COLUMNS)]
    return bool(content) and b"".join(lines) == body


def _matching_key(data: Path, signature: Path, purpose: str, what: str) -> str:
    """The fingerprint of the key that made `signature` for `data`."""
    if not is_canonical(signature.read_bytes()):
        raise BundleUnreadable(f"The signature of {what} is damaged.", hint="edgekit bundle sign BUNDLE --key KEY")
    with data.open("rb") as stream:
        finished = _ssh_keygen("-Y", "check-novalidate", "-n", purpose, "-s", str(signature), data=stream)
    found = _KEY.search(finished.text)
    if finished.code or found is None:
        raise BundleUnreadable(
            f"The signature does not match {what}: {_said(finished)}.", hint="edgekit bundle sign BUNDLE --key KEY"
        )
    return found[1]


def _ssh_keygen(*arguments: str, data: IO[bytes] | None = None) -> Finished:
    try:
        return processes.run(["ssh-keygen", *arguments], timeout_s=_TIMEOUT_S, stdin=data)
    except FileNotFoundError as err:
        raise EnvironmentFault(
            "Signatures need 'ssh-keygen', which is not installed.", hint="apt install openssh-client"
        ) from err


def _said(finished: Finished) -> str:
    if finished.timed_out:
        return f"no result after {_TIMEOUT_S:g} s"
    lines = [*finished.text.splitlines(), *finished.err.strip().splitlines()]
    return lines[-1].rstrip(".") if lines else f"exit code {finished.code}"


def _public(key: Path) -> str:
    try:
        return key.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise UserError(f"Cannot read the public key '{key}': {err}.", hint="--key KEY.pub") from err


def _is_base64(word: str) -> bool:
    try:
        return bool(base64.b64decode(word, validate=True))
    except (binascii.Error, ValueError):
        return False
