"""Downloads: over https, with a known checksum, complete or not at all, not with `--offline`; checked before use."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError, from_os_error
from edgekit.core.system.files import sha256_file, write_atomic
from edgekit.core.system.progress import Progress, Silent

if TYPE_CHECKING:
    from urllib.request import Request

_CHUNK_BYTES: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
# A server on this machine needs no encryption.
_SECURE: Final = ("https://", "http://127.0.0.1:")
_RETRY: Final = "Check the network, then retry."


def refuse_offline(what: str, *, offline: bool) -> None:
    """Refuse to download `what` if `offline` is set.

    Raises:
        EnvironmentFault: `offline` is set.
    """
    if offline:
        raise EnvironmentFault(f"{what} not in the cache.", hint="Run the same command once without --offline.")


def record_checksum(path: Path) -> None:
    """Write the checksum of a finished file of the cache next to it, for `checked`; `sha256sum --check` reads it."""
    write_atomic(_record_of(path), f"{sha256_file(path)}  {path.name}\n".encode())


def is_recorded(path: Path) -> bool:
    """Whether a file of the cache is there with its checksum; without one it has to be made again."""
    return path.is_file() and _record_of(path).is_file()


def checked(path: Path) -> Path:
    """`path`, a file of the cache whose content is what `record_checksum` saw; called before each use.

    Raises:
        Unreadable: It has changed, or has no checksum.
    """
    try:
        wanted = _record_of(path).read_text(encoding="utf-8", errors="replace").partition(" ")[0]
        found = sha256_file(path)
    except OSError as err:
        raise Unreadable(f"The checksum of '{path}' cannot be read: {err.strerror}.", hint=_removal(path)) from err
    if found != wanted:
        raise Unreadable(f"'{path}' has changed since it was downloaded: its checksum is wrong.", hint=_removal(path))
    return path


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _removal(path: Path) -> str:
    return f"{shlex.join(['rm', str(path)])}   # then repeat the command, which downloads it again"


def fetch(
    address: str,
    path: Path,
    checksum: str,
    *,
    algorithm: str = "sha256",
    hint: str = _RETRY,
    progress: Progress | None = None,
) -> None:
    """Download one file to `path`, completely or not at all; a partial download is kept next to it and resumed.

    Args:
        checksum: Checksum of the whole file, in hex.
        hint: What to do if the download fails or its checksum does not match.
        progress: Receives the number of bytes.

    Raises:
        UserError: `address` is not https.
        EnvironmentFault: No connection, or no disk space; may be retried.
        Unreadable: The checksum does not match; the download was deleted.
    """
    import http.client
    import urllib.error

    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(address, part, progress or Silent())
        _check(address, part, checksum, algorithm, hint)
        part.replace(path)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as err:
        raise EnvironmentFault(f"Cannot download '{address}': {getattr(err, 'reason', err)}.", hint=hint) from err
    except OSError as err:
        raise from_os_error(err, f"writing '{path}'") from err


def _check(address: str, part: Path, checksum: str, algorithm: str, hint: str) -> None:
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != checksum:
        part.unlink()
        raise Unreadable(f"The {algorithm} of '{address}' is {found[:12]}…, expected {checksum[:12]}….", hint=hint)


def _append(address: str, part: Path, progress: Progress) -> None:
    """Add to `part` what is missing; start again where the server does not go on in the middle."""
    import urllib.error
    import urllib.request

    _refuse_insecure(address)
    size = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={size}-"} if size else {})  # noqa: S310 - checked above
    try:
        _receive(request, part, size, progress)
    except urllib.error.HTTPError as err:
        # 416: the part is the whole file already; its checksum decides.
        if err.code != 416:
            raise


def _receive(request: Request, part: Path, size: int, progress: Progress) -> None:
    import urllib.request

    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - checked by the caller
        _refuse_insecure(answer.url)  # where it was redirected to
        begin = size if answer.status == 206 else 0
        with part.open("ab" if begin else "wb") as sink:
            _copy(answer, sink, begin, progress)
        if answer.length:  # what was announced and did not come; reading in pieces does not say
            raise ConnectionError(f"the connection closed {answer.length} bytes before the end")


def _copy(answer: Any, sink: IO[bytes], begin: int, progress: Progress) -> None:
    total = begin + (answer.length or 0)
    while chunk := answer.read(_CHUNK_BYTES):
        sink.write(chunk)
        progress.step(sink.tell(), max(total, sink.tell()))


def _refuse_insecure(address: str) -> None:
    if not address.startswith(_SECURE):
        raise UserError(f"'{address}' is not an https address.")
