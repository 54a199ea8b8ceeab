"""Promises of core/system/files.py: a file is whole or absent, and what was there before stays until then."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.errors import DiskFull, EnvironmentFault, Unreadable, UserError
from edgekit.core.system import files
from edgekit.core.system.files import (
    anything,
    cached_folder,
    copy_whole,
    new_file,
    new_folder,
    new_output,
    read_bytes,
    sha256_bytes,
    sha256_file,
    write_atomic,
    write_new,
)

TOO_LONG = "x" * 300


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_half(path: Path, error: BaseException, *, force: bool) -> None:
    with new_folder(path, force=force) as staging:
        (staging / "new").write_bytes(b"half")
        raise error


def test_the_digest_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8193  # more than one piece, and no multiple of it
    (tmp_path / "file").write_bytes(data)

    assert sha256_file(tmp_path / "file") == sha256_bytes(data)


@given(first=st.binary(max_size=64), second=st.binary(max_size=64))
def test_a_file_holds_what_was_written_last(
    first: bytes, second: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("write") / "deeper" / "file"

    write_atomic(path, first)
    write_atomic(path, second)

    assert content(path.parent) == {"file": second}


def test_a_file_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", b"x")
        with new_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)

    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_a_full_disk_leaves_the_old_file(tiny_disk: Path) -> None:
    write_atomic(tiny_disk / "file", b"old")

    with pytest.raises(DiskFull, match=r"No space left while writing '.*file'") as caught:
        write_atomic(tiny_disk / "file", bytes(1 << 20))

    assert caught.value.hint == "df -h"
    assert content(tiny_disk) == {"file": b"old"}


@pytest.mark.parametrize("where", ["taken/file", f"{TOO_LONG}", f"{TOO_LONG}/file", "."])
def test_a_place_that_cannot_be_written_says_so(where: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file, no folder")

    with pytest.raises(EnvironmentFault, match="Failed while writing"):
        write_atomic(tmp_path / where, b"x")

    assert content(tmp_path) == {"taken": b"a file, no folder"}


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), ConnectionError("lost")], ids=repr)
def test_an_interrupted_file_leaves_the_old_one(error: BaseException, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def write_half() -> None:
        with new_file(tmp_path / "file") as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()

    assert content(tmp_path) == {"file": b"old"}


def test_a_folder_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "out") as staging:
        (staging / "file").write_bytes(b"x")
        seen = (tmp_path / "a" / "out").exists()

    assert not seen
    assert content(tmp_path) == {"a/out/file": b"x"}


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), BrokenPipeError(32, "closed")], ids=repr)
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_vanishes_when_its_block_fails(error: BaseException, force: bool, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        write_half(tmp_path / "out", error, force=force)

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_inside_the_block_is_said_and_leaves_nothing(tiny_disk: Path) -> None:
    with pytest.raises(DiskFull, match=r"writing '.*out'"), new_folder(tiny_disk / "out") as staging:
        (staging / "file").write_bytes(bytes(1 << 20))

    assert list(tiny_disk.iterdir()) == []


def test_a_taken_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_bytes(b"old")

    with pytest.raises(UserError, match=r"'.*out' already exists") as caught, new_folder(tmp_path / "out"):
        pytest.fail("the block must not run")

    assert "--force" in caught.value.hint
    assert content(tmp_path) == {"out/file": b"old"}


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    with new_folder(tmp_path / "out") as staging:
        (staging / "file").write_bytes(b"new")

    assert content(tmp_path) == {"out/file": b"new"}


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "old").write_bytes(b"old")


def a_file(path: Path) -> None:
    path.write_bytes(b"old")


def a_link(path: Path) -> None:
    a_folder(path.parent / "elsewhere")
    path.symlink_to("elsewhere")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("appears", [a_folder, a_file, a_link, a_dangling_link])
def test_what_appears_while_a_folder_is_written_stays_and_the_result_is_kept(
    appears: Callable[[Path], None], tmp_path: Path
) -> None:
    def write() -> None:
        with new_folder(tmp_path / "out") as staging:
            (staging / "new").write_bytes(b"an hour of work")
            appears(tmp_path / "out")

    with pytest.raises(UserError, match="was created while this command ran, and is unchanged") as caught:
        write()

    kept = Path(caught.value.message.rpartition(" in '")[2].removesuffix("'."))
    assert content(kept) == {"new": b"an hour of work"}
    assert os.path.lexists(tmp_path / "out")
    there = content(tmp_path)
    assert b"old" in there.values() or (tmp_path / "out").is_symlink()
    assert {name.partition("/")[0] for name in there} <= {"out", "elsewhere", kept.name}


@pytest.mark.parametrize("has_links", [True, False])
def test_what_appears_while_a_file_is_written_stays_and_the_result_is_kept(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", _no_links)

    def write() -> None:
        with new_output(tmp_path / "out") as staging:
            staging.write_bytes(b"new")
            (tmp_path / "out").write_bytes(b"of another program")

    with pytest.raises(UserError, match="was created while this command ran"):
        write()

    assert sorted(content(tmp_path).values()) == [b"new", b"of another program"]
    assert (tmp_path / "out").read_bytes() == b"of another program"


def _no_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_appears_on_any_file_system(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", _no_links)

    write_new(tmp_path / "out", b"new")

    assert content(tmp_path) == {"out": b"new"}
    with pytest.raises(UserError, match="already exists"):
        write_new(tmp_path / "out", b"newer")
    with pytest.raises(UserError, match="was not written by edgekit"):
        write_new(tmp_path / "out", b"newer", force=True)
    write_new(tmp_path / "out", b"newer", force=True, may_replace=anything)
    assert content(tmp_path) == {"out": b"newer"}


def test_a_file_does_not_take_the_name_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        write_new(tmp_path, b"new", force=True)


def test_a_copy_that_replaces_nothing_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"new")
    (tmp_path / "baseline.onnx").write_bytes(b"old")

    with pytest.raises(UserError, match="already exists"):
        copy_whole(tmp_path / "model.onnx", tmp_path / "baseline.onnx", force=False)
    copy_whole(tmp_path / "model.onnx", tmp_path / "baseline.onnx")

    assert content(tmp_path) == {"model.onnx": b"new", "baseline.onnx": b"new"}


def test_of_two_that_fill_one_place_of_the_cache_the_first_stays_and_none_fails(tmp_path: Path) -> None:
    with cached_folder(tmp_path / "key") as slow:
        (slow / "file").write_bytes(b"slow")
        with cached_folder(tmp_path / "key") as quick:
            (quick / "file").write_bytes(b"quick")

    assert content(tmp_path) == {"key/file": b"quick"}


@pytest.mark.parametrize("force", [False, True])
def test_of_all_that_write_one_output_at_the_same_time_one_does(force: bool, tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def write(number: int) -> str:
        together.wait()
        try:
            with new_folder(tmp_path / "out", force=force) as staging:
                (staging / "file").write_bytes(bytes([number]))
                time.sleep(0.3)
        except UserError as err:
            return err.message
        return ""

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(write, range(4)))

    assert said.count("") == 1
    assert all("another edgekit is writing" in one.casefold() for one in said if one)
    assert content(tmp_path) == {"out/file": bytes([said.index("")])}


@pytest.mark.parametrize("where", ["taken/out", TOO_LONG])
def test_a_folder_that_cannot_be_made_says_so(where: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file, no folder")

    with pytest.raises(EnvironmentFault, match="Failed while writing"), new_folder(tmp_path / where):
        pytest.fail("the block must not run")

    assert content(tmp_path) == {"taken": b"a file, no folder"}


def test_a_missing_file_raises_the_error_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read '.*nothing': No such file or directory"):
        read_bytes(tmp_path / "nothing")
    with pytest.raises(Unreadable, match="Is a directory"):
        read_bytes(tmp_path, Unreadable)


def test_zip_entries_carry_no_time_and_no_system() -> None:
    entry = files.zip_entry("a")

    assert (entry.date_time, entry.create_system, entry.external_attr >> 16) == ((1980, 1, 1, 0, 0, 0), 3, 0o644)


@pytest.mark.parametrize("size", [0, 1, 100_000, (1 << 20) - 1, 1 << 20, 3 << 20])
def test_a_digest_is_the_same_whichever_code_takes_it(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    (tmp_path / "file").write_bytes(data)

    assert sha256_bytes(data) == sha256_file(tmp_path / "file") == hashlib.sha256(data).hexdigest()
