"""What the system refuses a command, and what its caller closes: a plain error, its code, and nothing half done."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cli.conftest import made_once
from tests.cli.every_command import listing
from tests.faults.preloaded import preloaded

__all__ = ["made_once"]
pytestmark = pytest.mark.slow

RUN = "run bundle --input sample:0"
# A limit on all addresses is reached by what the command imports, whatever this Python takes by itself.
NARROW = """
import resource
from edgekit.cli.main import main
with open("/proc/self/statm") as stream:
    pages = int(stream.read().split()[0])
limit = pages * resource.getpagesize() + (10 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main()
"""
# Which files the standard streams of a command lead to.
STREAMS = """
import os
from edgekit.cli import main
def run(arguments):
    with open("streams", "w") as stream:
        print(*(os.readlink(f"/proc/self/fd/{number}") for number in range(3)), file=stream)
    return 0
main.run = run
main.main()
"""


@dataclass(frozen=True)
class Case:
    """A command as a line of a shell, in which EDGEKIT is the program; what it says, and what files it may leave."""

    line: str
    code: int
    says: str = ""
    leaves: str = ""
    environment: dict[str, str] = field(default_factory=dict)


CASES = (
    Case(f"ulimit -f 0; EDGEKIT {RUN} --output out.npz", 3, "File too large"),
    Case("ulimit -f 0; EDGEKIT profile bundle --launches 1", 3, "No folder for temporary files can be written to."),
    Case("ulimit -f 1; EDGEKIT bundle pack bundle --out packed.edgekit", 3, "File too large"),
    Case("ulimit -n 8; EDGEKIT profile bundle --launches 1", 3, "Too many open files"),
    Case(f"ulimit -n 32; EDGEKIT {RUN} --output out.npz", 0, leaves="out.npz"),
    Case(f"EDGEKIT {RUN} --json > /dev/full", 3, "No space left"),
    Case(f"EDGEKIT {RUN} 2> /dev/full", 0),
    Case("EDGEKIT list recipes | true; exit ${PIPESTATUS[0]}", 141),
    Case(f"EDGEKIT {RUN} --output out.npz <&- >&- 2>&-", 0, leaves="out.npz"),
    Case("EDGEKIT list recipes", 3, "The system starts no more processes", environment={"REFUSE_FORK": "1"}),
    Case("EDGEKIT profile bundle --launches 1", 3, "no more processes", environment={"REFUSE_FORK": "2"}),
    Case(f"EDGEKIT {RUN}", 3, "no more processes or threads", environment={"REFUSE_THREAD": "1"}),
    Case(f"EDGEKIT {RUN} --output out.npz", 0, leaves="out.npz", environment={"CLOCK_JUMP_S": "-3600"}),
    Case("EDGEKIT profile bundle --launches 1", 0, environment={"CLOCK_JUMP_S": "3600"}),
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to preload."""
    return preloaded("machine.c", tmp_path_factory.mktemp("machine"))


@pytest.fixture
def folder(made_once: Path, tmp_path: Path) -> Path:
    """A folder with a bundle, and one for temporary files."""
    shutil.copytree(made_once / "bundle", tmp_path / "work" / "bundle")
    (tmp_path / "tmp").mkdir()
    return tmp_path


def called(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell in the folder."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder / "work",
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "OPENBLAS_NUM_THREADS": "1", **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.line} {case.environment or ''}".strip())
def test_what_the_system_refuses_is_a_plain_error(case: Case, machine: Path, folder: Path) -> None:
    before = listing(folder / "work").keys()
    program = shlex.join([sys.executable, "-m", "edgekit"])
    preload = {"LD_PRELOAD": str(machine)} if case.environment else {}

    done = called(case.line.replace("EDGEKIT", program), folder, **case.environment, **preload)

    assert done.returncode == case.code, done.stderr
    assert case.says in done.stderr
    assert "Traceback" not in done.stderr
    new = {Path(path).name for path in listing(folder / "work").keys() - before}
    assert new == ({case.leaves} if case.leaves else set())
    assert list((folder / "tmp").iterdir()) == []


def test_addresses_that_run_out_while_packages_load_are_a_plain_error(folder: Path) -> None:
    done = called(f"{shlex.join([sys.executable, '-c', NARROW])} {RUN}", folder)

    assert done.returncode == 3, done.stderr
    assert "Error: There is not enough memory" in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_streams_lead_nowhere_and_not_into_a_pipe_of_the_command(folder: Path) -> None:
    done = called(f"{shlex.join([sys.executable, '-c', STREAMS])} <&- >&- 2>&-", folder)

    assert done.returncode == 0
    assert (folder / "work" / "streams").read_text().split() == [os.devnull] * 3
