"""Conversions are kept by content; what is damaged is made again, and nothing fails for want of a cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.export.messages import Converted
from edgekit.export.workers.cache import ConversionCache, key_of

MADE = Converted(opset=18, warnings=("beware",))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "made.onnx"
    path.write_bytes(b"weights")
    return path


def test_what_was_put_is_got(tmp_path: Path, source: Path) -> None:
    cache = ConversionCache(tmp_path / "cache")

    cache.put("key", source, MADE)

    assert cache.get("key", tmp_path / "copy") == MADE
    assert (tmp_path / "copy").read_bytes() == b"weights"
    assert cache.get("other", tmp_path / "none") is None


@pytest.mark.parametrize("victim", ["file", "entry.json"])
@pytest.mark.parametrize("content", [b"", b"weighty", None])
def test_a_damaged_entry_is_removed(victim: str, content: bytes | None, tmp_path: Path, source: Path) -> None:
    cache = ConversionCache(tmp_path / "cache")
    cache.put("key", source, MADE)
    damaged = tmp_path / "cache" / "key" / victim
    damaged.unlink() if content is None else damaged.write_bytes(content)

    assert cache.get("key", tmp_path / "copy") is None
    assert not (tmp_path / "cache" / "key").exists()
    assert not (tmp_path / "copy").exists()


def test_without_a_folder_nothing_is_kept(tmp_path: Path, source: Path) -> None:
    cache = ConversionCache(None)

    cache.put("key", source, MADE)

    assert cache.get("key", tmp_path / "copy") is None


def test_a_cache_that_cannot_be_written_fails_nothing(tmp_path: Path, source: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")

    ConversionCache(tmp_path / "cache").put("key", source, MADE)

    assert (tmp_path / "cache").read_text() == "a file where the folder should be"


def test_the_entries_used_longest_ago_go_first(tmp_path: Path, source: Path) -> None:
    cache = ConversionCache(tmp_path / "cache", max_bytes=2 * 7)
    for age, name in enumerate(("new", "old", "older")):
        cache.put(name, source, MADE)
        os.utime(tmp_path / "cache" / name, (1e9 - age, 1e9 - age))

    cache.put("newest", source, MADE)

    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["new", "newest"]


def test_a_subject_is_remembered(tmp_path: Path) -> None:
    cache = ConversionCache(tmp_path / "cache")

    before = cache.has_seen("subject")
    cache.mark_seen("subject")

    assert (before, cache.has_seen("subject")) == (False, True)


def test_every_part_changes_the_key() -> None:
    keys = {key_of(a=1, b=[2]), key_of(a=1, b=[3]), key_of(a=2, b=[2]), key_of(a=1)}

    assert len(keys) == 4
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
