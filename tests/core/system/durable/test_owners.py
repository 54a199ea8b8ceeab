from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit.core.system.durable import owners
from edgekit.core.system.durable.owners import Owner, clean, make_folder, owner_of, staging_name, temporary_folder
from edgekit.core.system.files import refuse_existing, write_atomic

MAKER = """
import sys
from pathlib import Path
from edgekit.core.system.durable.owners import make_folder, staging_name
folder = Path(sys.argv[1])
(make_folder(folder=folder) / "file").write_text("x")
staging_name(folder / "out").write_text("half")
print("made", flush=True)
sys.stdin.read()
"""


@contextmanager
def maker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has made a folder and a file in `folder`, and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    with process.stdout, process.stdin:
        assert process.stdout.readline() == "made\n"
        yield process
        process.kill()
        process.wait()


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, ...]:
    """What a killed process left in a folder."""
    with maker(tmp_path):
        pass
    return tuple(sorted(tmp_path.iterdir()))


def test_what_a_killed_process_left_is_removed_and_listed(tmp_path: Path, killed: tuple[Path, ...]) -> None:
    (tmp_path / "edgekit-mine").mkdir()
    (tmp_path / ".out.3f9a1b2c").write_text("of another program")
    assert [owner_of(path) for path in killed] == [Owner.DEAD, Owner.DEAD]

    assert sorted(clean([tmp_path, tmp_path / "none"]).removed) == list(killed)

    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.3f9a1b2c", "edgekit-mine"]


@pytest.mark.usefixtures("killed")
def test_the_next_temporary_folder_and_the_next_file_remove_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as folder:
        assert list(tmp_path.iterdir()) == [Path(folder)]
    assert not list(tmp_path.iterdir())

    other = tmp_path / "other"
    other.mkdir()
    with maker(other):
        pass
    write_atomic(other / "file", b"x")
    assert [path.name for path in other.iterdir()] == ["file"]


@pytest.mark.usefixtures("killed")
def test_a_folder_with_nothing_else_is_free(tmp_path: Path) -> None:
    refuse_existing(tmp_path)

    assert not list(tmp_path.iterdir())


def test_what_runs_keeps_its_files_also_while_it_is_stopped(tmp_path: Path) -> None:
    with maker(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        assert clean([tmp_path]) == ((), ())
        assert len(list(tmp_path.iterdir())) == 2
        assert {owner_of(path) for path in tmp_path.iterdir()} == {Owner.ALIVE}


def test_a_killed_process_that_nobody_has_awaited_owns_nothing(tmp_path: Path) -> None:
    with maker(tmp_path) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert len(clean([tmp_path]).removed) == 2


def test_a_number_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    own = make_folder(folder=tmp_path)
    head, start, random = own.name.rsplit("-", 2)
    earlier = own.with_name(f"{head}-{int(start, 16) - 1:x}-{random}")
    earlier.mkdir()

    assert clean([tmp_path]).removed == (earlier,)
    assert own.is_dir()


def test_of_other_machines_containers_and_users_nothing_is_removed(
    tmp_path: Path, killed: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, boot = owners._here()
    monkeypatch.setattr(owners, "_here", lambda: ("0" * 8, boot))
    assert sorted(clean([tmp_path]).unknown) == list(killed)

    monkeypatch.setattr(owners, "_here", lambda: (place, boot))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert sorted(clean([tmp_path]).unknown) == list(killed)


@pytest.mark.usefixtures("killed")
def test_an_earlier_boot_counts_only_outside_of_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = owners._here()
    monkeypatch.setattr(owners, "_here", lambda: (place, "----"))
    monkeypatch.setattr(owners, "_namespace", lambda: "pid:[4026532999]")
    assert len(clean([tmp_path]).unknown) == 2

    monkeypatch.setattr(owners, "_namespace", lambda: "pid:[4026531836]")
    assert len(clean([tmp_path]).removed) == 2


def test_a_link_with_such_a_name_leads_nowhere(tmp_path: Path, killed: tuple[Path, ...]) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    link = tmp_path / f"{killed[0].name[:-1]}_"
    link.symlink_to(precious)

    assert clean([tmp_path]).unknown == (link,)
    assert precious.is_dir()


def test_a_long_name_has_a_temporary_name(tmp_path: Path) -> None:
    for name in ("x" * 255, "ä" * 127):
        assert len(os.fsencode(staging_name(tmp_path / name).name)) <= 255
        write_atomic(tmp_path / name, b"content")
        assert (tmp_path / name).read_bytes() == b"content"
