"""Claims: one process at a time writes an output."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgekit.core.errors import EdgekitError, UserError, from_os_error
from edgekit.core.system.durable.renames import remove
from edgekit.core.system.native import stops

OLD: Final = "old"
_CLAIM: Final = ".writing"
_OWNER: Final = "owner"
_TURN_S: Final = 0.05
# How long to wait for a process that only changes an entry of a file.
SHORT_S: Final = 30.0


@contextlib.contextmanager
def claimed(path: Path, *, wait_s: float = 0.0) -> Iterator[Path]:
    """An empty folder next to `path` that only this process uses, while no other process claims `path`.

    It is removed when the block ends. What a killed process left in it is removed by the next one.

    Args:
        wait_s: How long to wait for another process.

    Raises:
        UserError: Another process writes `path`.
        EnvironmentFault: The folder cannot be written.
    """
    path = Path(os.path.abspath(path))
    folder = path.parent / f".{path.name}{_CLAIM}"
    try:
        owner = _owned(folder, time.monotonic() + wait_s)
    except OSError as err:
        with contextlib.suppress(OSError):  # only an empty one: no room was left for the file in it
            folder.rmdir()
        raise from_os_error(err, f"writing '{path}'") from err
    if owner is None:
        message = f"Another edgekit is writing '{path}'."
        raise UserError(message, hint="Retry when it has finished, or choose another name.")
    try:
        _clear(folder, path)
        yield folder
    finally:
        with stops.held():
            with contextlib.suppress(OSError):
                _clear(folder, path)
                (folder / _OWNER).unlink(missing_ok=True)
                folder.rmdir()
            os.close(owner)


def clear_claims(folder: Path) -> tuple[Path, ...]:
    """Remove what killed processes left of their claims directly in `folder`; the claims that were removed."""
    found = []
    with contextlib.suppress(OSError):
        found = [one for one in folder.iterdir() if one.name.startswith(".") and one.name.endswith(_CLAIM)]
    for one in (one for one in found if (one / _OWNER).is_file()):
        with contextlib.suppress(EdgekitError), claimed(folder / one.name[1 : -len(_CLAIM)]):
            pass
    return tuple(one for one in found if not os.path.lexists(one))


def _owned(folder: Path, deadline: float) -> int | None:
    """A descriptor that locks the claim `folder` until it is closed; None if another process has it.

    The lock, not the folder, is the claim: the system frees it when a process is killed.
    """
    while True:
        owner = _opened(folder)
        if owner is not None:
            if _locked(owner) and _is_same(owner, folder / _OWNER):
                return owner
            os.close(owner)
        if time.monotonic() > deadline and (folder / _OWNER).exists():
            return None
        time.sleep(_TURN_S)


def _opened(folder: Path) -> int | None:
    """The file in the claim `folder` that is locked, made where it is not there; None if its owner is removing it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    except FileExistsError:
        if os.path.lexists(folder) and not folder.is_dir():
            raise
        return None


def _locked(descriptor: int) -> bool:
    """Whether this process has the lock; also where the system has no locks, and the rename alone decides."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        return err.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _clear(claim: Path, path: Path) -> None:
    """Remove what a claim contains; an old output that a killed process had put aside goes back to its place."""
    if os.path.lexists(claim / OLD) and not os.path.lexists(path):
        (claim / OLD).rename(path)
    for one in claim.iterdir():
        if one.name != _OWNER:
            remove(one)
