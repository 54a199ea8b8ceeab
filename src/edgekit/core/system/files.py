"""Writes files completely or not at all: to a temporary name first, then a rename that replaces only what it may.

Who writes an output claims it first: two commands cannot write one output at the same time, and what another program
puts there meanwhile is kept.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.core.errors import DiskFull, EdgekitError, UserError, from_os_error
from edgekit.core.system.confined.outputs import is_output, mark
from edgekit.core.system.durable.claims import OLD, claimed
from edgekit.core.system.durable.owners import clean, staging_name
from edgekit.core.system.durable.renames import exchange, place, remove

if TYPE_CHECKING:
    import zipfile

Test = Callable[[Path], bool]
"""Whether what is at a path may be replaced."""

_CHUNK_BYTES = 1 << 20
# Above, the speed of OpenSSL is worth its memory.
_LARGE_BYTES = 1 << 20


def new_sha256(size_bytes: int = 0) -> Any:
    """A new sha256 object for about `size_bytes` bytes.

    Small content uses the interpreter's own code: `hashlib` loads OpenSSL, which takes 4 MB more than a small model
    needs.
    """
    for module in ("_sha2", "_sha256") if size_bytes < _LARGE_BYTES else ():
        with contextlib.suppress(ImportError, AttributeError):
            return importlib.import_module(module).sha256()
    import hashlib

    return hashlib.sha256()


def sha256_bytes(data: bytes) -> str:
    """Hex digest of `data`."""
    digest = new_sha256(len(data))
    digest.update(data)
    return str(digest.hexdigest())


def sha256_file(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as stream:
        digest = new_sha256(os.fstat(stream.fileno()).st_size)
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return str(digest.hexdigest())


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the content of `path` with `data`, or leave it unchanged.

    Raises:
        DiskFull: No space is left.
        EnvironmentFault: The folder cannot be written.
    """
    with _translated(f"writing '{path}'"), new_file(path) as temporary, temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary name next to `path` that becomes `path` if the block succeeds, and is deleted otherwise.

    Errors of the block pass through unchanged, except for a full disk.

    Raises:
        DiskFull: No space is left, here or inside the block.
        EnvironmentFault: The folder cannot be written.
    """
    path = Path(os.path.abspath(path))
    temporary, doing = _beside(path), f"writing '{path}'"
    try:
        with _translated(doing):
            path.parent.mkdir(parents=True, exist_ok=True)
        with _full_disk_told(doing):
            yield temporary
        with _translated(doing):
            temporary.replace(path)
    finally:
        # What keeps the temporary file from being removed (no such folder, a name too long) kept it from being made.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(
    path: Path, *, force: bool = False, wait_s: float = 0.0, is_marked: bool = False, may_replace: Test = is_output
) -> Iterator[Path]:
    """A temporary folder that becomes `path` if the block succeeds, and is deleted otherwise.

    With `force`, the old content of `path` is kept until the new folder is complete, and restored if the exchange
    fails. Without it, what appears at `path` during the block stays, and the new folder is kept under another name.
    Errors of the block pass through unchanged, except for a full disk.

    Args:
        wait_s: How long to wait for another process that writes `path`.
        is_marked: The folder says that edgekit wrote it, because nothing else in it does.
        may_replace: As in `refuse_existing`.

    Raises:
        UserError: `path` exists and `force` is not given, or edgekit did not write it, or it contains the working or
            the home folder; or another process writes it, or wrote it during the block.
        DiskFull: No space is left, here or inside the block.
        EnvironmentFault: The folder cannot be written.
    """
    with _staged(path, force=force, wait_s=wait_s, may_replace=may_replace) as staging:
        with _translated(f"writing '{path}'"):
            staging.mkdir()
            if is_marked:
                mark(staging)
        yield staging


@contextlib.contextmanager
def new_output(path: Path, *, force: bool = False, may_replace: Test = is_output) -> Iterator[Path]:
    """Like `new_folder`, for one file: a temporary name that becomes `path`."""
    if path.is_dir():
        raise UserError(f"'{path}' is a folder.", hint=f"--out {path / 'FILE'}")
    with _staged(path, force=force, wait_s=0.0, may_replace=may_replace) as staging:
        yield staging


def write_new(path: Path, data: bytes, *, force: bool = False, may_replace: Test = is_output) -> None:
    """Write `data` to `path`, which must not exist unless `force` is given; errors as in `new_output`."""
    with new_output(path, force=force, may_replace=may_replace) as staging:
        write_atomic(staging, data)


@contextlib.contextmanager
def cached_folder(path: Path) -> Iterator[Path]:
    """Like `new_folder`, for content that its name determines: what another process has put there meanwhile stays."""
    path = Path(os.path.abspath(path))
    staging, doing = _beside(path), f"writing '{path}'"
    try:
        with _translated(doing):
            staging.mkdir(parents=True)
        with _full_disk_told(doing):
            yield staging
        with _translated(doing), contextlib.suppress(FileExistsError):
            place(staging, path)
    finally:
        remove(staging)


def copy_whole(source: Path, out: Path, *, force: bool = True) -> None:
    """Copy a file or folder to `out`, at once or not at all; errors as in `new_folder`.

    Args:
        force: Replace `out` if it exists, also if edgekit did not write it.
    """
    with ready_copy(source, out, force=force):
        pass


@contextlib.contextmanager
def ready_copy(source: Path, out: Path, *, force: bool = True) -> Iterator[None]:
    """Like `copy_whole`: the copy is complete before the block, and becomes `out` if the block succeeds."""
    if source.is_dir():
        with new_folder(out, force=force, may_replace=anything) as staging:
            _copy_tree(source, staging)
            yield
    else:
        with new_output(out, force=force, may_replace=anything) as staging:
            shutil.copyfile(source, staging)
            yield


def _copy_tree(source: Path, out: Path) -> None:
    """Copy what is in a folder; unlike `shutil.copytree`, the first error ends it and is raised as it is."""
    for folder, _, names in os.walk(source, followlinks=True):
        target = out / Path(folder).relative_to(source)
        target.mkdir(exist_ok=True)
        for name in names:
            shutil.copy2(Path(folder) / name, target / name)


def anything(_: Path) -> bool:
    """True: the caller has decided what may be replaced."""
    return True


def refuse_existing(path: Path, *, force: bool = False, option: str = "--out", may_replace: Test = is_output) -> None:
    """Raise unless `path` is free, an empty folder, or may be replaced.

    Args:
        may_replace: Whether what is there may be replaced with `force`: by default only what edgekit wrote.

    Raises:
        UserError: It exists; or, with `force`, it contains the working or the home folder, or may not be replaced.
    """
    clean([path])  # what a killed process began to write is no content
    free = not os.path.lexists(path) or (path.is_dir() and not path.is_symlink() and not any(path.iterdir()))
    if free:
        return
    if not force:
        raise UserError(f"'{path}' already exists.", hint=f"Choose another {option}, or add --force to replace it.")
    home = Path(os.path.expanduser("~"))
    held = next((folder for folder in (Path.cwd(), home) if folder.is_relative_to(path.resolve())), None)
    if held is not None:
        raise UserError(f"'{path}' contains '{held}' and is not replaced.", hint=f"Choose another {option}.")
    if not may_replace(path):
        raise UserError(
            f"'{path}' was not written by edgekit, and --force does not replace it.",
            hint=f"Choose another {option}, or move '{path}' away.",
        )


def read_bytes(path: Path, error: type[EdgekitError] = UserError) -> bytes:
    """The content of a file; a missing or unreadable one raises `error`."""
    try:
        return path.read_bytes()
    except OSError as err:
        raise error(f"Cannot read '{path}': {err.strerror or err}.") from err


def zip_entry(name: str) -> zipfile.ZipInfo:
    """A zip entry with a fixed time and system, so that equal contents give equal bytes."""
    import zipfile

    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


@contextlib.contextmanager
def _staged(path: Path, *, force: bool, wait_s: float, may_replace: Test) -> Iterator[Path]:
    """A free name in the claim of `path`; what the block writes there becomes `path`."""
    path = Path(os.path.abspath(path))
    doing = f"writing '{path}'"
    with _translated(doing):
        refuse_existing(path, force=force, may_replace=may_replace)
    with claimed(path, wait_s=wait_s) as claim:
        with _translated(doing):
            refuse_existing(path, force=force, may_replace=may_replace)  # who had the claim before may have written it
        staging = claim / os.urandom(4).hex()
        with _full_disk_told(doing):
            yield staging
        with _translated(doing):
            if force:
                exchange(staging, path, claim / OLD)
            else:
                _place_or_keep(staging, path)


def _place_or_keep(new: Path, path: Path) -> None:
    """Rename `new` to `path`; if something is there by now, that stays, and `new` is kept under another name."""
    try:
        place(new, path)
    except FileExistsError as err:
        kept = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
        place(new, kept)
        raise UserError(
            f"'{path}' was created while this command ran, and is unchanged; the result is in '{kept}'.",
            hint=shlex.join(["mv", str(kept), f"{path}-2"]),
        ) from err


def _beside(path: Path) -> Path:
    return staging_name(path)


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise from_os_error(err, doing) from err


@contextlib.contextmanager
def _full_disk_told(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        if isinstance(full := from_os_error(err, doing), DiskFull):
            raise full from err
        raise
