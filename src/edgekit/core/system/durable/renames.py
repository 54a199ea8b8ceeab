"""Renames that replace nothing by accident."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Final

from edgekit.core.system.native import stops

# renameat2: the first refuses a name that is taken, the second exchanges two files or folders at once.
_NO_REPLACE: Final = 1
_EXCHANGE: Final = 2
_HERE: Final = -100


def place(new: Path, path: Path) -> None:
    """Rename `new` to `path`, which is free or an empty folder.

    Raises:
        FileExistsError: Something is there, which is unchanged.
    """
    if new.is_dir():
        with contextlib.suppress(OSError):
            path.rmdir()  # only succeeds for an empty folder
        try:
            os.rename(new, path)  # replaces neither a file nor a folder with content
        except OSError as err:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from err
            raise
        return
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError as err:  # a file system without links
        if not _renamed(new, path, _NO_REPLACE):
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from err
            new.rename(path)


def exchange(new: Path, path: Path, old: Path) -> None:
    """Replace `path` with `new`; if that fails, restore the old content, which is at `old` in between."""
    if not os.path.lexists(path):
        new.rename(path)
        return
    if _renamed(new, path, _EXCHANGE):
        return
    path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        old.rename(path)
        raise
    remove(old)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with its content."""
    if path.is_dir() and not path.is_symlink():
        with stops.held():
            shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _renamed(new: Path, path: Path, how: int) -> bool:
    """Whether Linux' renameat2 did it; false where the system or the file system has no such thing."""
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(call(_HERE, os.fsencode(new), _HERE, os.fsencode(path), how) == 0)
