"""The keys of a fleet: one file that its scheduler, its hosts and its users share. Who has it can run code on them."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edgekit.core.errors import Unreadable, UserError, from_os_error
from edgekit.core.system.files import read_bytes
from edgekit.core.system.optional import need

PORT: Final = 8786
_HINT: Final = "Copy the keys of the fleet from its scheduler; 'edgekit fleet keys FILE' makes those of a new fleet."
_PARTS: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n?", re.DOTALL)
_LONGEST: Final = 1 << 20


def write_keys(path: Path) -> None:
    """Write new keys that only this user can read, as PEM: a certificate for a year, and its private key.

    Raises:
        UserError: The file exists.
        MissingExtra: Dask or cryptography is not installed.
        EnvironmentFault: The file cannot be written.
    """
    need("cryptography", extra="fleet")
    made = need("distributed", extra="fleet").Security.temporary()
    content = f"{made.tls_scheduler_cert}{made.tls_scheduler_key}".encode()
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as err:
        raise UserError(f"'{path}' already exists.", hint=f"edgekit fleet keys {path.stem}-2.pem") from err
    except OSError as err:
        raise from_os_error(err, f"writing '{path}'") from err
    with os.fdopen(number, "wb") as stream:
        stream.write(content)


def security_of(path: Path | None) -> Any:
    """What Dask needs to encrypt, and to refuse everybody without these keys; None without a file.

    Raises:
        UserError: There is no such file.
        Unreadable: It has no keys.
    """
    if path is None:
        return None
    if not path.is_file():
        raise UserError(f"There are no keys at '{path}'.", hint=_HINT)
    content = read_bytes(path)
    parts = {one[1]: one[0].decode() for one in _PARTS.finditer(content)} if len(content) < _LONGEST else {}
    certificate = parts.get(b"CERTIFICATE")
    key = next((text for kind, text in parts.items() if kind.endswith(b"PRIVATE KEY")), None)
    if certificate is None or key is None:
        raise Unreadable(f"'{path}' contains no certificate with its key.", hint="edgekit fleet keys fleet.pem")
    pair = {f"tls_{who}_{what}": part for who in ("client", "scheduler", "worker")
            for what, part in (("cert", certificate), ("key", key))}  # fmt: skip
    return need("distributed", extra="fleet").Security(tls_ca_file=certificate, require_encryption=True, **pair)


def address_of(text: str, keys: Path | None) -> str:
    """The address of a scheduler as Dask writes it, `tls://lab:8786`; without keys only one on this machine.

    Raises:
        UserError: It is not an address, it needs keys, or has keys that it does not use.
    """
    whole = text if "://" in text else f"{'tls' if keys else 'tcp'}://{text}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname or "", parts.port or PORT
    except ValueError:
        host, port = "", 0
    if not host or parts.scheme not in ("tcp", "tls") or parts.path or parts.query or parts.username:
        raise UserError(f"'{text}' is not the address of a fleet.", hint="tls://lab.example:8786")
    if (parts.scheme == "tls") != (keys is not None):
        missing = "needs the keys of its fleet" if keys is None else "is not encrypted, so it takes no keys"
        hint = "--keys fleet.pem" if keys is None else f"tls://{host}:{port}"
        raise UserError(f"'{text}' {missing}.", hint=hint)
    if keys is None:
        refuse_open(host)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def refuse_open(host: str) -> None:
    """Raise UserError for a host that others can reach: without keys all of them could run code in the fleet."""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback:
        raise UserError(
            f"Without keys everybody who reaches '{host}' could run code in the fleet.",
            hint="edgekit fleet keys fleet.pem, then --keys fleet.pem",
        )
