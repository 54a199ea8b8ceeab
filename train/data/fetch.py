"""Downloads data sets from their official addresses, only on request; resumable, and verified by sha256."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Final

from edgekit.core.errors import Unreadable, UserError
from edgekit.core.system.fetch import fetch
from edgekit.core.system.files import write_atomic
from edgekit.core.system.progress import Progress, Silent
from edgekit.train.data.addresses import SOURCES, Remote
from edgekit.train.data.dataset_files import cache_folder

_MAX_FILE_BYTES: Final = 1 << 30
_HINT: Final = "Retry; if it still fails, download the files yourself and use --data DIR."


def download(
    name: str,
    *,
    sources: Mapping[str, Mapping[str, Remote]] = SOURCES,
    into: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download the missing files of the data set `name` into the cache, and return its folder.

    An interrupted download resumes where it ended.

    Raises:
        UserError: edgekit knows no official address of this data set.
        EnvironmentFault: There is no connection; may be retried.
        Unreadable: The sha256 does not match; the file was deleted.
    """
    if name not in sources:
        known = ", ".join(sources)
        raise UserError(f"edgekit has no official address for '{name}', only for {known}.", hint="--data DIR")
    folder = (into or cache_folder()) / name
    shown = progress or Silent()
    for done, (file, remote) in enumerate(sources[name].items(), start=1):
        if not all((folder / name).is_file() for name in remote.holds or (file,)):
            with shown.stage(file):
                fetch(remote.address, folder / file, remote.sha256, hint=_HINT, progress=shown)
            if remote.holds:
                unpack(folder / file, remote.holds)
        shown.step(done, len(sources[name]), file)
    return folder


def unpack(path: Path, names: tuple[str, ...]) -> None:
    """Extract the files called `names`, from any folder of the tar, next to it, and remove the tar.

    Raises:
        Unreadable: The tar is damaged, a file is missing, or one is larger than a data file can be.
    """
    left = set(names)
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                name = PurePosixPath(entry.name).name
                stream = archive.extractfile(entry) if name in left and entry.isfile() else None
                if stream is not None:
                    write_atomic(path.with_name(name), _limited(stream, entry.size, f"{path}: {name}"))
                    left.discard(name)
    except (tarfile.TarError, EOFError, zlib.error) as err:
        raise Unreadable(f"'{path}' is truncated or damaged: {err}.", hint=f"rm {path}") from err
    if left:
        raise Unreadable(f"'{path}' does not contain '{min(left)}'.", hint=f"rm {path}")
    path.unlink()


def _limited(stream: IO[bytes], size: int, name: str) -> bytes:
    if size > _MAX_FILE_BYTES:
        raise Unreadable(f"'{name}' has {size:,} bytes, more than {_MAX_FILE_BYTES:,}.")
    return stream.read(_MAX_FILE_BYTES)
