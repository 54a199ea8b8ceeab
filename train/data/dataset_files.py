"""Finds the files of a data set: in a given folder, in `EDGEKIT_DATA`, or in the cache of downloads."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError
from edgekit.core.system.files import read_bytes
from edgekit.train.data.addresses import SOURCES

_GZIP_MAGIC = b"\x1f\x8b"


def cache_folder() -> Path:
    """The folder for downloads: `EDGEKIT_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("EDGEKIT_CACHE") or platformdirs.user_cache_dir("edgekit")) / "data"


def find(name: str, files: Iterable[str], data: Path | None) -> Path:
    """The folder that contains `files` of the data set `name`.

    Args:
        data: Folder of data sets (`data/NAME/FILE`), or of this one (`data/FILE`); default: `EDGEKIT_DATA`, then the
            cache.

    Raises:
        UserError: A file is missing in the given folder.
        EnvironmentFault: No folder was given, and the data set is not on this machine.
    """
    wanted = tuple(files)
    if data is not None:
        return _named(name, wanted, data)
    if environment := os.environ.get("EDGEKIT_DATA"):
        return _named(name, wanted, Path(environment))
    cached = cache_folder() / name
    if _missing(cached, wanted):
        raise EnvironmentFault(
            f"The data set '{name}' is not on this machine; edgekit downloads it only on request.",
            hint=f"Add --data DIR (with DIR/{name}/{wanted[0]}){_way_to_fetch(name)}.",
        )
    return cached


def _way_to_fetch(name: str) -> str:
    return ", or download it with: edgekit train MODEL --download" if name in SOURCES else ""


def _named(name: str, wanted: tuple[str, ...], data: Path) -> Path:
    if not data.is_dir():
        raise UserError(f"Data folder '{data}' does not exist.", hint="--data DIR or EDGEKIT_DATA=DIR")
    candidates = (data / name, data)
    for folder in candidates:
        if not _missing(folder, wanted):
            return folder
    missing = _missing(data / name, wanted)
    raise UserError(
        f"The data set '{name}' is incomplete: '{data / name / missing[0]}' is missing.",
        hint=f"Put {', '.join(wanted)} into '{data / name}'.",
    )


def _missing(folder: Path, wanted: tuple[str, ...]) -> list[str]:
    return [file for file in wanted if not (folder / file).is_file()]


def read_plain(path: Path) -> bytes:
    """The content of a file, decompressed if it is gzip.

    Raises:
        Unreadable: The file is missing, truncated or damaged.
    """
    data = read_bytes(path, Unreadable)
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise Unreadable(f"'{path}' is truncated or damaged: {err}.", hint=f"Download '{path.name}' again.") from err
