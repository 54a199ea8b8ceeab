"""Where stand-ins are built once and kept: a folder that may be deleted at any time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Missing(Exception):
    """A stand-in cannot be built on this machine; the text says why."""


def cache_folder() -> Path:
    """`EDGEKIT_CACHE/standins`, or the same under `~/.cache/edgekit`."""
    base = os.environ.get("EDGEKIT_CACHE") or "~/.cache/edgekit"
    return (Path(base).expanduser() / "standins").resolve()


def built(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, filled by `build` when it is not there; complete or absent, never half-made."""
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            part = folder.with_name(f".{name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            build(part)
            part.rename(folder)
    return folder


@contextmanager
def required() -> Iterator[None]:
    """Skip the test, counted and with the reason, when the block finds a stand-in missing; fail where CI wants it."""
    try:
        yield
    except Missing as err:
        reason = f"stand-in missing: {err}"
        if os.environ.get("EDGEKIT_REQUIRE_STANDINS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
