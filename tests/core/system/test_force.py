"""Promises of --force: what edgekit wrote is replaced at once or not at all, and nothing else is replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.core.system.test_files import a_dangling_link, a_file, a_folder, a_link, content, write_half

from edgekit.core.errors import EnvironmentFault, UserError
from edgekit.core.system.durable import renames
from edgekit.core.system.files import new_folder, refuse_existing


def fail_second_rename(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The new folder cannot take the place that the old one has just left; putting the old one back works."""
    rename, calls = Path.rename, iter(range(9))

    def failing(source: Path, target: Path) -> Path:
        if next(calls) == 1:
            raise error
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", failing)


def _ours(path: Path) -> None:
    with new_folder(path, is_marked=True) as staging:
        (staging / "old").write_bytes(b"old")


def _link_to_ours(path: Path) -> None:
    _ours(path.parent / "elsewhere")
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("there", [_ours, _link_to_ours])
def test_force_replaces_what_edgekit_wrote(there: Callable[[Path], None], tmp_path: Path) -> None:
    there(tmp_path / "out")
    beside = {name: data for name, data in content(tmp_path).items() if name.startswith("elsewhere")}
    with pytest.raises(UserError, match="exists"):
        refuse_existing(tmp_path / "out")

    with new_folder(tmp_path / "out", force=True) as staging:
        (staging / "new").write_bytes(b"new")

    assert content(tmp_path) == {"out/new": b"new"} | beside
    assert not (tmp_path / "out").is_symlink()


@pytest.mark.parametrize("there", [a_folder, a_file, a_link, a_dangling_link])
def test_force_keeps_what_edgekit_did_not_write(there: Callable[[Path], None], tmp_path: Path) -> None:
    there(tmp_path / "out")
    before = content(tmp_path)

    with (
        pytest.raises(UserError, match="was not written by edgekit") as caught,
        new_folder(tmp_path / "out", force=True),
    ):
        pytest.fail("the block must not run")

    assert content(tmp_path) == before
    assert os.path.lexists(tmp_path / "out")
    assert caught.value.hint == f"Choose another --out, or move '{tmp_path / 'out'}' away."


def test_force_keeps_the_old_folder_until_the_block_ends(tmp_path: Path) -> None:
    _ours(tmp_path / "out")

    with new_folder(tmp_path / "out", force=True):
        during = content(tmp_path / "out")

    assert during["old"] == b"old"


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt()], ids=repr)
def test_force_keeps_the_old_folder_when_the_block_fails(error: BaseException, tmp_path: Path) -> None:
    _ours(tmp_path / "out")
    before = content(tmp_path)

    with pytest.raises(type(error)):
        write_half(tmp_path / "out", error, force=True)

    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("error", "raised"), [(OSError(16, "busy"), EnvironmentFault), (KeyboardInterrupt(), KeyboardInterrupt)], ids=repr
)
def test_force_puts_the_old_folder_back_when_the_exchange_fails(
    error: BaseException, raised: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ours(tmp_path / "out")
    before = content(tmp_path)
    monkeypatch.setattr(renames, "_renamed", lambda *_: False)  # a file system that cannot exchange two names at once
    fail_second_rename(monkeypatch, error)

    with pytest.raises(raised), new_folder(tmp_path / "out", force=True) as staging:
        (staging / "new").write_bytes(b"new")

    assert content(tmp_path) == before


@pytest.mark.parametrize("where", [".", "..", "/"])
def test_force_never_replaces_the_folder_one_works_in(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "thesis.tex").write_bytes(b"years of work")
    monkeypatch.chdir(tmp_path / "project")

    with pytest.raises(UserError, match="is not replaced"), new_folder(Path(where), force=True):
        pytest.fail("the block must not run")

    assert content(tmp_path) == {"project/thesis.tex": b"years of work"}


def test_force_never_replaces_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_folder(tmp_path / "home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    with pytest.raises(UserError, match="is not replaced"):
        refuse_existing(tmp_path / "home", force=True)
