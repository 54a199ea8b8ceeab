"""Downloads: over https alone, of known content, whole or not at all, and only where the network may be used."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError, from_os_error
from edgekit.core.system.progress import Progress, Silent

if TYPE_CHECKING:
    from urllib.request import Request

_CHUNK_BYTES: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
# A server on this machine needs no encryption.
_SECURE: Final = ("https://", "http://127.0.0.1:")
_RETRY: Final = "Check the network, then try again."


def refuse_offline(what: str, *, offline: bool) -> None:
    """Refuse to fetch `what` where `offline` is set.

    Raises:
        EnvironmentFault: It is.
    """
    if offline:
        raise EnvironmentFault(f"{what} not in the cache.", hint="Run the same command once without --offline.")


def fetch(
    address: str,
    path: Path,
    checksum: str,
    *,
    algorithm: str = "sha256",
    hint: str = _RETRY,
    progress: Progress | None = None,
) -> None:
    """Fetch one file to `path`, whole or not at all; what came before a break is kept beside it, and completed.

    Args:
        checksum: Of the whole file, in hex.
        hint: What to do where it does not come, or is another file.
        progress: Told of bytes.

    Raises:
        UserError: `address` is not https.
        EnvironmentFault: No connection, or no room; may be retried.
        Unreadable: What came has another checksum; it was thrown away.
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
        raise EnvironmentFault(f"Cannot fetch '{address}': {getattr(err, 'reason', err)}.", hint=hint) from err
    except OSError as err:
        raise from_os_error(err, f"writing '{path}'") from err


def _check(address: str, part: Path, checksum: str, algorithm: str, hint: str) -> None:
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != checksum:
        part.unlink()
        raise Unreadable(
            f"'{address}' gave another file than expected: its {algorithm} is not {checksum[:12]}….", hint=hint
        )


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
            raise ConnectionError(f"it broke off {answer.length} bytes before its end")


def _copy(answer: Any, sink: IO[bytes], begin: int, progress: Progress) -> None:
    total = begin + (answer.length or 0)
    while chunk := answer.read(_CHUNK_BYTES):
        sink.write(chunk)
        progress.step(sink.tell(), max(total, sink.tell()))


def _refuse_insecure(address: str) -> None:
    if not address.startswith(_SECURE):
        raise UserError(f"'{address}' is not an https address.")
