"""Files on a device, stored by checksum: present files are not sent again, and partial ones are continued."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Final
from uuid import uuid4

from edgekit.core.errors import DeviceError
from edgekit.core.system.files import sha256_bytes
from edgekit.devices.remote.shell import Shell, succeeded

_SIZE: Final = re.compile(r"[0-9]{1,15}")
_UNSAFE: Final = re.compile(r"[^\w.@:+-]")
_log = logging.getLogger(__name__)


def ensure(shell: Shell, files: Mapping[str, Path]) -> None:
    """Make sure that every file is on the device, as `blobs/DIGEST`.

    Args:
        files: Files on this machine by their sha256.

    Raises:
        DeviceUnavailable: The connection was lost; the next call continues where this one ended.
        DiskFull: No space is left there.
    """
    if not files:
        return
    for digest, there in _present(shell, list(files)).items():
        if there is not None:
            _send(shell, files[digest], digest, there)


def me() -> str:
    """This user on this machine, as others see it: `anna@desk`."""
    with contextlib.suppress(OSError, KeyError, ImportError):
        return _UNSAFE.sub("-", f"{getpass.getuser()}@{socket.gethostname()}")
    return f"user-{os.getpid()}"


def sender() -> str:
    """What a user's partial files on a device are called, from this machine: no other user writes to them."""
    return sha256_bytes(me().encode())[:8]


def _present(shell: Shell, digests: list[str]) -> dict[str, int | None]:
    """How many bytes of each file are on the device; None for a complete one."""
    command = f"""mkdir -p "{shell.root}/blobs" "{shell.root}/run" && cd "{shell.root}/blobs" || exit
for name in {" ".join(digests)}; do
  if [ -f $name ]; then echo all; elif [ -f $name.OWNER.part ]; then wc -c < $name.OWNER.part; else echo 0; fi
done""".replace("OWNER", sender())
    answers = succeeded(shell, shell.run(command), "looking for files").text.split()
    if len(answers) != len(digests) or not all(answer == "all" or _SIZE.fullmatch(answer) for answer in answers):
        raise DeviceError(
            f"Cannot parse what '{shell.name}' says about its files.", hint=f"edgekit devices check {shell.name}"
        )
    return {name: None if answer == "all" else int(answer) for name, answer in zip(digests, answers, strict=True)}


def _send(shell: Shell, source: Path, digest: str, there: int) -> None:
    size = source.stat().st_size
    part = f"blobs/{digest}.{sender()}.part"
    start = monotonic()
    if there > size:
        succeeded(shell, shell.run(f'rm -f "{shell.root}/{part}"'), "removing a damaged file")
        there = 0
    if there < size or size == 0:
        shell.put(source, part, offset=there)
    if not _stored(shell, part, digest, source):
        # Two commands of one user on one machine write to the same partial file: each sends again under its own name.
        there, own = 0, f"blobs/{digest}.{uuid4().hex}.part"
        shell.put(source, own, offset=there)
        if not _stored(shell, own, digest, source):
            raise DeviceError(
                f"'{source.name}' arrived damaged on '{shell.name}'.", hint=f"edgekit devices check {shell.name}"
            )
    resumed = f", continued from {there / 1e6:.1f} MB" if there else ""
    _log.info("sent %.1f MB to '%s' in %.1f s%s", (size - there) / 1e6, shell.name, monotonic() - start, resumed)


def _stored(shell: Shell, part: str, digest: str, source: Path) -> bool:
    """Give a partial file its final name if its checksum is right, else remove it."""
    check = (
        f'cd "{shell.root}" && set -- $(sha256sum < {part}) && '
        f'if [ "$1" = {digest} ]; then mv {part} blobs/{digest}; else rm -f {part}; exit 9; fi'
    )
    finished = shell.run(check)
    if finished.code != 9:
        succeeded(shell, finished, f"storing '{source.name}'")
    return finished.code != 9


def free_bytes(shell: Shell) -> int | None:
    """The free space where edgekit stores its files; None if the device does not say."""
    command = f'd="{shell.root}"; while [ ! -d "$d" ]; do d=$(dirname "$d"); done; df -Pk "$d"'
    finished = shell.run(command)
    fields = finished.text.splitlines()[-1].split() if finished.text else []
    return int(fields[3]) * 1024 if len(fields) >= 4 and _SIZE.fullmatch(fields[3]) else None
