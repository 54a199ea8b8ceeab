"""Writing files so that nothing half-written is ever seen: a temporary name first, then a rename."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgekit.core.errors import EdgekitError, UserError, from_os_error

_CHUNK_BYTES = 1 << 20


def sha256_bytes(data: bytes) -> str:
    """Hex digest of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, or leave it as it was.

    Raises:
        DiskFull: No space is left.
        EnvironmentFault: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as err:
        raise from_os_error(err, f"writing '{path}'") from err


@contextlib.contextmanager
def new_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends well, and vanishes otherwise.

    Raises:
        UserError: `path` exists and `force` is not given.
        DiskFull: No space is left, here or inside the block.
    """
    refuse_existing(path, force=force)
    staging: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        staging.chmod(0o777 & ~_umask())
        yield staging
        if force and path.exists():
            shutil.rmtree(path)
        staging.rename(path)
    except OSError as err:
        raise from_os_error(err, f"writing '{path}'") from err
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def refuse_existing(path: Path, *, force: bool = False, option: str = "--out") -> None:
    """Raise unless `path` is free, an empty folder, or may be replaced."""
    free = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    if not free and not force:
        raise UserError(f"'{path}' exists.", hint=f"Choose another {option}, or add --force to replace it.")


def read_bytes(path: Path, error: type[EdgekitError] = UserError) -> bytes:
    """The content of a file; a missing or unreadable one raises `error`."""
    try:
        return path.read_bytes()
    except OSError as err:
        raise error(f"Cannot read '{path}': {err.strerror or err}.") from err


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
