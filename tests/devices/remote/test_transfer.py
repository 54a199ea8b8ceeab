"""Promises of devices/remote/transfer.py, over a shell on this machine: files arrive once and whole, or not at all."""

from __future__ import annotations

import getpass
import os
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
from tests.standins.local_shell import LocalShell

from edgekit.core.errors import DeviceError, DiskFull
from edgekit.core.system.files import sha256_bytes
from edgekit.core.system.processes import Finished
from edgekit.devices.remote import transfer
from edgekit.devices.remote.transfer import ensure, free_bytes, me, sender

CONTENT = bytes(range(256)) * 40
DIGEST = sha256_bytes(CONTENT)


class Watched(LocalShell):
    """Notes what is sent, by its path and the place from which on; `harm` changes a file after it arrived."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.sent: list[tuple[str, int]] = []
        self.harmed = 0

    def put(self, source: Path, path: str, *, offset: int = 0) -> None:
        super().put(source, path, offset=offset)
        self.sent.append((path, offset))
        if self.harmed:
            self.harmed -= 1
            with (self.folder / path).open("ab") as stream:
                stream.write(b"more")


@pytest.fixture
def shell(tmp_path: Path) -> Watched:
    (tmp_path / "home").mkdir()
    return Watched(tmp_path / "home")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    return tmp_path / "model.onnx"


def part() -> str:
    """Where this user's partial file is on the device."""
    return f"blobs/{DIGEST}.{sender()}.part"


def begun(shell: LocalShell, content: bytes) -> None:
    """An upload that was cut after `content`."""
    (shell.folder / "blobs").mkdir(parents=True)
    (shell.folder / part()).write_bytes(content)


def stored(shell: LocalShell) -> dict[str, bytes]:
    """All that is in the folder of files, partial ones included."""
    return {path.name: path.read_bytes() for path in (shell.folder / "blobs").iterdir()}


def test_a_file_arrives_once_and_under_its_checksum(
    shell: Watched, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    files = {DIGEST: source, sha256_bytes(b"other"): other}

    with caplog.at_level("INFO", logger=transfer.__name__):
        ensure(shell, files)
        first = len(shell.sent)
        ensure(shell, files)

    assert stored(shell) == {DIGEST: CONTENT, sha256_bytes(b"other"): b"other"}
    assert shell.sent[0] == (part(), 0)
    assert first == len(shell.sent) == 2
    assert (shell.folder / "run").is_dir()
    assert re.fullmatch(r"sent 0\.0 MB to 'here' in \d+\.\d s", caplog.messages[0])


def test_without_files_the_device_is_not_asked(shell: Watched) -> None:
    ensure(shell, {})

    assert shell.commands == []


def test_an_upload_that_was_cut_goes_on_where_it_ended(
    shell: Watched, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = CONTENT * 60
    source.write_bytes(content)
    digest = sha256_bytes(content)
    (shell.folder / "blobs").mkdir(parents=True)
    (shell.folder / f"blobs/{digest}.{sender()}.part").write_bytes(content[:500_000])

    with caplog.at_level("INFO", logger=transfer.__name__):
        ensure(shell, {digest: source})

    assert stored(shell) == {digest: content}
    assert [offset for _, offset in shell.sent] == [500_000]
    assert caplog.messages[0].startswith("sent 0.1 MB to 'here' in ")
    assert caplog.messages[0].endswith(" s, continued from 0.5 MB")


def test_a_whole_upload_that_was_only_not_named_is_not_sent_again(shell: Watched, source: Path) -> None:
    begun(shell, CONTENT)

    ensure(shell, {DIGEST: source})

    assert (stored(shell), shell.sent) == ({DIGEST: CONTENT}, [])


def test_what_is_longer_than_the_file_is_begun_anew(shell: Watched, source: Path) -> None:
    begun(shell, CONTENT + b"x")

    ensure(shell, {DIGEST: source})

    assert (stored(shell), shell.sent) == ({DIGEST: CONTENT}, [(part(), 0)])


@pytest.mark.parametrize("length", [100, len(CONTENT)])
def test_a_damaged_partial_file_is_sent_again_under_a_name_of_its_own(
    shell: Watched, source: Path, length: int
) -> None:
    begun(shell, b"\xff" * length)

    ensure(shell, {DIGEST: source})

    assert stored(shell) == {DIGEST: CONTENT}
    name, offset = shell.sent[-1]
    assert offset == 0
    assert re.fullmatch(rf"blobs/{DIGEST}\.[0-9a-f]{{32}}\.part", name)
    assert len(shell.sent) == (2 if length < len(CONTENT) else 1)


def test_an_empty_file_arrives_too(shell: Watched, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")

    ensure(shell, {sha256_bytes(b""): tmp_path / "empty"})

    assert stored(shell) == {sha256_bytes(b""): b""}


def test_a_file_that_arrives_damaged_twice_is_an_error_and_leaves_nothing(shell: Watched, source: Path) -> None:
    shell.harmed = 2

    with pytest.raises(DeviceError, match=r"^'model\.onnx' arrived damaged on 'here'\.$") as caught:
        ensure(shell, {DIGEST: source})

    assert caught.value.hint == "edgekit devices check here"
    assert (stored(shell), len(shell.sent)) == ({}, 2)


def test_a_file_that_arrives_damaged_once_is_sent_again(shell: Watched, source: Path) -> None:
    shell.harmed = 1

    ensure(shell, {DIGEST: source})

    assert (stored(shell), len(shell.sent)) == ({DIGEST: CONTENT}, 2)


def test_two_users_do_not_write_to_the_same_partial_file(
    shell: Watched, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(shell, CONTENT[:100])
    monkeypatch.setattr(transfer, "me", lambda: "anna@desk")

    ensure(shell, {DIGEST: source})

    assert shell.sent == [(part(), 0)]
    assert sender() == sha256_bytes(b"anna@desk")[:8]
    assert len(stored(shell)) == 2, "the other user's upload was touched"


def test_this_user_is_named_as_others_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "anna b/c")
    monkeypatch.setattr(socket, "gethostname", lambda: "desk-1.lan")

    assert me() == "anna-b-c@desk-1.lan"


@pytest.mark.parametrize("error", [OSError, KeyError, ImportError])
def test_a_user_without_a_name_is_a_process(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def unnamed() -> str:
        raise error("no such user")

    monkeypatch.setattr(getpass, "getuser", unnamed)

    assert me() == f"user-{os.getpid()}"


class Saying(Watched):
    """A device that gives these replies to the commands that contain a word, without running them."""

    change: dict[str, Finished]

    def run(self, command: str, *, stdin: IO[bytes] | None = None, **options: Any) -> Finished:
        for word, change in self.change.items():
            if word in command:
                return change
        return super().run(command, stdin=stdin, **options)


@pytest.mark.parametrize("text", ["", "all all", "many", "-1", "1.5", "9" * 16, "all of it"])
def test_a_reply_that_no_device_gives_is_an_error(tmp_path: Path, source: Path, text: str) -> None:
    (tmp_path / "home").mkdir()
    shell = Saying(tmp_path / "home")
    shell.change = {"wc -c": Finished(0, text.encode(), "")}

    with pytest.raises(DeviceError, match=r"^Cannot parse what 'here' says about its files\.$") as caught:
        ensure(shell, {DIGEST: source})

    assert caught.value.hint == "edgekit devices check here"
    assert shell.sent == []


@pytest.mark.parametrize(
    ("word", "doing"),
    [("mkdir", "looking for files"), ('rm -f "', "removing a damaged file"), ("sha256sum", "storing 'model.onnx'")],
)
def test_each_step_that_fails_is_named(tmp_path: Path, source: Path, word: str, doing: str) -> None:
    (tmp_path / "home").mkdir()
    shell = Saying(tmp_path / "home")
    begun(shell, CONTENT + b"x")
    failed = Finished(1, b"", "it went wrong")

    shell.change = {word: failed}
    with pytest.raises(DeviceError, match=f"^'here' failed while {doing}: it went wrong$"):
        ensure(shell, {DIGEST: source})
    shell.change = {word: replace(failed, err="write error: No space left on device")}
    with pytest.raises(DiskFull):
        ensure(shell, {DIGEST: source})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/root 900 300 600 34% /\n", 600 * 1024),
        ("/dev/root 900 300 600\n", 600 * 1024),
        ("Filesystem\n/dev/root 900 300 - 34% /\n", None),
        ("nothing here\n", None),
        ("a b c\n", None),
        ("", None),
    ],
)
def test_free_space_is_what_df_says_or_unknown(tmp_path: Path, lines: str, expected: int | None) -> None:
    for name in ("home", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "df.txt").write_text(lines)
    (tmp_path / "bin/df").write_text(f'#!/bin/sh\n[ "$1" = -Pk ] && [ -d "$2" ] && cat {tmp_path}/df.txt\n')
    (tmp_path / "bin/df").chmod(0o755)

    assert free_bytes(LocalShell(tmp_path / "home", python=tmp_path / "bin")) == expected


def test_free_space_of_this_machine_is_known(shell: Watched) -> None:
    assert (free_bytes(shell) or 0) > 0
