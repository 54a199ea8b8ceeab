from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.core.system.durable.appended import append_line, append_text, read_lines

LINES = 60
WRITER = """
import sys
from pathlib import Path
from edgekit.core.system.durable.appended import append_line
path, name = Path(sys.argv[1]), sys.argv[2]
for number in range(int(sys.argv[3])):
    append_line(path, f'["{name}", {number}, "{"x" * (number % 7) * 3000}"]'.encode())
"""


@pytest.fixture
def file_limit() -> Iterator[int]:
    """No file of this process may grow beyond this size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield 4096
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def writer(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, str(count)])


def test_lines_come_back_as_they_were_appended(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file"
    assert read_lines(path) == ((), b"")

    for line in (b"one", b"", b"three"):
        assert append_line(path, line) is None

    assert path.read_bytes() == b"one\n\nthree\n"
    assert read_lines(path) == ((b"one", b"", b"three"), b"")


def test_a_torn_last_line_is_set_aside_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"a":1}\n{"a":')
    assert read_lines(path) == ((b'{"a":1}',), b'{"a":')

    aside = append_line(path, b'{"a":2}')

    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n'
    assert aside == tmp_path / "file.torn"
    assert aside.read_bytes() == b'{"a":\n'


def test_every_torn_line_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for half in (b"first", bytes(3 << 20)):
        path.write_bytes(half)
        assert append_line(path, b"line") == tmp_path / "file.torn"
        assert path.read_bytes() == b"line\n"

    assert (tmp_path / "file.torn").read_bytes() == b"first\n" + bytes(3 << 20) + b"\n"


def test_a_complete_last_line_of_an_editor_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"a":1}')

    assert append_line(path, b'{"a":2}', is_whole=lambda text: bool(json.loads(text))) is None

    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n'


def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path, file_limit: int) -> None:
    path = tmp_path / "file"
    append_line(path, b"x" * (file_limit - 100))
    before = path.read_bytes()

    with pytest.raises(OSError, match="File too large"):
        append_line(path, b"y" * 200)

    assert path.read_bytes() == before
    assert append_line(path, b"z" * 50) is None


def test_a_full_disk_leaves_the_file_as_it_was(tiny_disk: Path) -> None:
    path = tiny_disk / "file"
    append_line(path, b"x" * 1000)
    (tiny_disk / "filler").write_bytes(bytes(240 << 10))

    with pytest.raises(OSError, match="No space left"):
        append_line(path, b"y" * 20_000)

    assert path.read_bytes() == b"x" * 1000 + b"\n"


def test_a_text_goes_to_a_pipe_as_well(tmp_path: Path) -> None:
    reader, end = os.pipe()
    append_text(Path(f"/dev/fd/{end}"), "summary")
    append_text(tmp_path / "file", "one")
    append_text(tmp_path / "file", "two")

    assert os.read(reader, 100) == b"summary"
    assert (tmp_path / "file").read_text() == "onetwo"
    os.close(reader)
    os.close(end)


@pytest.mark.slow
def test_writers_that_are_killed_lose_only_what_they_were_writing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    killed = [writer(path, f"killed{number}", 100_000) for number in range(2)]
    steady = [writer(path, f"steady{number}", LINES) for number in range(2)]
    while len(read_lines(path).whole) < LINES:
        time.sleep(0.01)
    for process in killed:
        process.send_signal(signal.SIGKILL)
    assert [process.wait(60) for process in killed + steady] == [-signal.SIGKILL] * 2 + [0, 0]
    append_line(path, b'["last", 0, ""]')

    found = [json.loads(line) for line in read_lines(path).whole]

    for name in ("steady0", "steady1"):
        assert [number for who, number, _ in found if who == name] == list(range(LINES))
    for name in ("killed0", "killed1"):
        numbers = [number for who, number, _ in found if who == name]
        assert numbers == list(range(len(numbers)))
