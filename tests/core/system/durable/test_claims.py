"""Promises of core/system/durable/claims.py: one process at a time, and a killed one blocks nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, UserError
from edgekit.core.system.confined.outputs import mark
from edgekit.core.system.durable.claims import claimed
from edgekit.core.system.files import new_folder

# Writes half an output, says so, and waits until it is killed.
WRITER = """
import sys, time
from pathlib import Path
from edgekit.core.system.files import new_folder
with new_folder(Path(sys.argv[1]), force=True, is_marked=True) as staging:
    (staging / "file").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(600)
"""


def test_a_claim_leaves_nothing_behind(tmp_path: Path) -> None:
    with claimed(tmp_path / "out") as folder:
        (folder / "file").write_bytes(b"x")
        (folder / "deep").mkdir()

    assert list(tmp_path.iterdir()) == []


def test_a_second_claim_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with (
        claimed(tmp_path / "out"),
        pytest.raises(UserError, match="Another edgekit is writing"),
        claimed(tmp_path / "out"),
    ):
        pytest.fail("the block must not run")

    with claimed(tmp_path / "out"), claimed(tmp_path / "other"):
        pass


def test_those_that_wait_come_one_after_the_other(tmp_path: Path) -> None:
    inside, seen = [0], []
    lock = threading.Lock()

    def count(_: int) -> None:
        with claimed(tmp_path / "file", wait_s=60):
            with lock:
                inside[0] += 1
                seen.append(inside[0])
            with lock:
                inside[0] -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(count, range(30)))

    assert seen == [1] * 30


@pytest.mark.skipif(os.name != "posix", reason="needs locks of files that end with their process")
def test_a_killed_writer_blocks_nobody_and_what_it_left_is_removed(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "out")], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    with pytest.raises(UserError, match="Another edgekit is writing"), new_folder(tmp_path / "out"):
        pytest.fail("the block must not run")
    writer.kill()
    writer.wait()
    writer.stdout.close()
    assert any(tmp_path.iterdir())

    with new_folder(tmp_path / "out") as staging:
        (staging / "file").write_bytes(b"whole")

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "file").read_bytes() == b"whole"


def test_an_old_output_that_a_killed_process_had_put_aside_returns(tmp_path: Path) -> None:
    aside = tmp_path / ".out.writing" / "old"
    aside.mkdir(parents=True)
    (aside / "file").write_bytes(b"the only copy")
    mark(aside)

    with pytest.raises(ValueError, match="failed again"), new_folder(tmp_path / "out", force=True):
        raise ValueError("failed again")

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "file").read_bytes() == b"the only copy"


def test_a_place_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(EnvironmentFault, match="Failed while writing"), claimed(tmp_path / "file" / "out"):
        pytest.fail("the block must not run")
