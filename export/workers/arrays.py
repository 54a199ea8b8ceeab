"""Arrays that parent and worker exchange through files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgekit.core.errors import from_os_error
from edgekit.core.samples import Array, Feed


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz without compression: it is read once, by a process that waits for it."""
    try:
        with path.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]  # its last keyword is a flag, all others are arrays
    except OSError as err:
        raise from_os_error(err, f"writing '{path}'") from err


def pack_feeds(feeds: Sequence[Feed]) -> Feed:
    """Arrays called `INDEX:NAME` from feeds in order."""
    return {f"{index}:{name}": array for index, feed in enumerate(feeds) for name, array in feed.items()}


def unpack_feeds(arrays: Feed) -> dict[int, Feed]:
    """Feeds by index from arrays called `INDEX:NAME`."""
    feeds: dict[int, Feed] = {}
    for key, array in arrays.items():
        index, _, name = key.partition(":")
        feeds.setdefault(int(index), {})[name] = array
    return feeds
