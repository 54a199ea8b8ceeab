"""Files that grow by lines: a line is appended whole and kept on the disk, or the file stays as it was.

A writer that is killed, or a machine that loses its power, can still leave the beginning of a line at the end. The next
one that appends moves such a torn line to a file of its own; readers do not take it for damage.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

TORN_SUFFIX: Final = ".torn"
# What `fsync` says of a file that is on no disk, e.g. a pipe.
_NOT_KEPT: Final = (errno.EINVAL, errno.ENOTSUP)
_CHUNK_BYTES: Final = 1 << 20
IsWhole = Callable[[bytes], bool]


class WrittenLines(NamedTuple):
    """The lines of a file without their ends, and `torn`, what follows the last line end."""

    whole: tuple[bytes, ...]
    torn: bytes


def read_lines(path: Path) -> WrittenLines:
    """The lines of a file that `append_line` wrote; none where there is no file.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        with path.open("rb") as stream, _locked(stream.fileno(), shared=True):
            *whole, torn = stream.read().split(b"\n")
    except FileNotFoundError:
        return WrittenLines((), b"")
    return WrittenLines(tuple(whole), torn)


def append_line(path: Path, line: bytes, *, is_whole: IsWhole = lambda _: False) -> Path | None:
    """Add `line` and a line end, or leave the file unchanged; where a torn line was moved to, if there was one.

    Args:
        is_whole: Whether a last line without a line end, as editors leave it, is complete; it is kept then.

    Raises:
        OSError: The line cannot be written, or not be kept on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path) as file:
        return _add_line(path, file, line + b"\n", is_whole)


def append_text(path: Path, text: str) -> None:
    """Add a text to a file that other programs write too, or leave the file unchanged.

    Raises:
        OSError: The text cannot be written.
    """
    with _opened(path) as file:
        _add(file, text.encode())


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file at `path`, which this process alone appends to during the block."""
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if is_new:
            _keep_entry(path)
        with _locked(file):
            yield file
    finally:
        os.close(file)


def _add_line(path: Path, file: int, line: bytes, is_whole: IsWhole) -> Path | None:
    torn = _torn(file)
    if not torn:
        _add(file, line)
        return None
    if is_whole(torn):
        _add(file, b"\n" + line)
        return None
    aside = path.with_name(path.name + TORN_SUFFIX)
    with _opened(aside) as other:
        _add(other, torn + b"\n")
    os.ftruncate(file, os.fstat(file).st_size - len(torn))
    _add(file, line)
    return aside


def _torn(file: int) -> bytes:
    """What follows the last line end."""
    found, place = b"", os.fstat(file).st_size
    while place and b"\n" not in found:
        start = max(0, place - _CHUNK_BYTES)
        found, place = os.pread(file, place - start, start) + found, start
    return found.rpartition(b"\n")[2]


def _add(file: int, data: bytes) -> None:
    """Write all of `data` at the end and keep it on the disk, or cut the file back to its old size."""
    before = os.fstat(file)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        _keep(file)
        if stat.S_ISREG(before.st_mode) and os.fstat(file).st_size != before.st_size + len(data):
            raise OSError(errno.EIO, "The size of the file does not match what was written")
    except BaseException:
        with contextlib.suppress(OSError):  # a pipe has no size; a disk that fails here failed above
            os.ftruncate(file, before.st_size)
            _keep(file)
        raise


def _keep(file: int) -> None:
    try:
        os.fsync(file)
    except OSError as err:
        if err.errno not in _NOT_KEPT:
            raise


def _keep_entry(path: Path) -> None:
    """Keep the name of a new file on the disk, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folder, and some file systems keep none
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _locked(file: int, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of an open file, if this system has such locks; it ends with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with contextlib.suppress(OSError):  # a file system without locks, as some network shares
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
