"""Downloads of data sets from their official addresses, only when asked: resumable, and checked by sha256."""

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
_HINT: Final = "Try again; if it stays, put the files in place and name the folder with --data DIR."


def download(
    name: str,
    *,
    sources: Mapping[str, Mapping[str, Remote]] = SOURCES,
    into: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch what is missing of the data set `name` into the cache; gives its folder.

    A download that broke off goes on where it ended.

    Raises:
        UserError: There is no official address of this data set here.
        EnvironmentFault: No connection; may be retried.
        Unreadable: What came has another sha256; it was thrown away.
    """
    if name not in sources:
        known = ", ".join(sources)
        raise UserError(f"'{name}' has no official address that edgekit knows; it knows {known}.", hint="--data DIR")
    folder = (into or cache_folder()) / name
    told = progress or Silent()
    for done, (file, remote) in enumerate(sources[name].items(), start=1):
        if not all((folder / name).is_file() for name in remote.holds or (file,)):
            fetch(remote.address, folder / file, remote.sha256, hint=_HINT)
            if remote.holds:
                unpack(folder / file, remote.holds)
        told.step(done, len(sources[name]), file)
    return folder


def unpack(path: Path, names: tuple[str, ...]) -> None:
    """Put the files called `names`, whatever folder the tar has them in, beside it, and remove the tar.

    Raises:
        Unreadable: It is damaged, lacks one, or one is larger than a data file can be.
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
        raise Unreadable(f"'{path}' holds no '{min(left)}'.", hint=f"rm {path}")
    path.unlink()


def _limited(stream: IO[bytes], size: int, name: str) -> bytes:
    if size > _MAX_FILE_BYTES:
        raise Unreadable(f"'{name}' has {size:,} bytes, more than {_MAX_FILE_BYTES:,}.")
    return stream.read(_MAX_FILE_BYTES)
