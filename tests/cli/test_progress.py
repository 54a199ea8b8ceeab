from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from edgekit.cli.progress import Bars, Lines, progress
from edgekit.core.system.progress import Silent

STAGES = """
from edgekit.cli.progress import progress
with progress(quiet=False) as shown:
    with shown.stage("load [N,1]"):
        shown.step(1, 2, "a")
    with shown.stage("export"):
        pass
"""


def _seconds(*values: float) -> Iterator[float]:
    yield from values


def test_a_stage_is_one_line_with_the_seconds_since_the_start() -> None:
    stream = io.StringIO()
    clock = _seconds(0.0, 1.25, 61.5, 62.0)
    lines = Lines(stream, clock=lambda: next(clock))

    with lines.stage("load"):
        lines.step(1, 2, "half")
    with lines.stage("export"), lines.stage("parity"):
        pass

    assert stream.getvalue() == "    1.2 s  load\n   61.5 s  export\n   62.0 s    parity\n"


def test_long_work_breaks_its_silence_with_the_stage_and_its_steps() -> None:
    # A piped export wrote nothing for 43 s.
    stream = io.StringIO()

    with Lines(stream, silence_s=0.05) as lines, lines.stage("export"):
        time.sleep(0.08)
        lines.step(1, 3, "onnx-fp32")
        time.sleep(0.12)
        with lines.stage("parity"):
            pass
    written = stream.getvalue()
    time.sleep(0.1)

    told = [line.split(" s  ", 1)[1] for line in written.splitlines()]
    assert told[:2] == ["export", "  still export"]
    assert "  still export: 1 of 3, onnx-fp32" in told
    assert told[-1] == "  parity"
    assert stream.getvalue() == written  # nothing after the end


def test_a_closed_standard_error_does_not_end_the_work() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = open(write, "w")  # noqa: SIM115 - closing it fails, which is what is looked at
    done = []

    with Lines(stream).stage("load"):
        done.append("work")

    assert done == ["work"]
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_quiet_tells_nobody() -> None:
    with progress(quiet=True) as shown:
        assert isinstance(shown, Silent)


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"TERM": "xterm-256color"}], ids=str)
def test_a_pipe_gets_lines_and_never_bars(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STAGES],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=60,
        check=True,
    )

    assert [line.split(" s  ")[1] for line in done.stderr.splitlines()] == ["load [N,1]", "export"]
    assert done.stdout == ""


def _on_a_terminal(variables: dict[str, str]) -> str:
    """What STAGES writes to a terminal."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", STAGES],
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env={"PATH": os.environ["PATH"], **variables},
    ) as process:
        os.close(follower)
        pieces: list[bytes] = []
        reader = Thread(target=lambda: pieces.extend(_pieces(leader)))
        reader.start()
        process.wait(60)
        reader.join(60)
    os.close(leader)
    return b"".join(pieces).decode()


def _pieces(leader: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # Linux says EIO when the other side is gone
            return
        if not piece:
            return
        yield piece


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo terminals")
def test_a_terminal_shows_every_stage_that_ended_as_it_is_called() -> None:
    shown = _on_a_terminal({"TERM": "xterm-256color"})

    assert "load [N,1]  " in shown
    assert "export  " in shown
    assert "\x1b[?25h" in shown  # the cursor is visible again


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo terminals")
def test_no_color_is_obeyed_on_a_terminal() -> None:
    shown = _on_a_terminal({"TERM": "xterm-256color", "NO_COLOR": "1"})

    assert "load [N,1]" in shown
    assert "\x1b[3" not in shown


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo terminals")
def test_a_dumb_terminal_gets_lines() -> None:
    shown = _on_a_terminal({"TERM": "dumb"})

    assert "\x1b" not in shown
    assert " s  load [N,1]" in shown


def test_stages_of_two_threads_may_overlap() -> None:
    with Bars() as bars:

        def work() -> None:
            with bars.stage("other"):
                bars.step(1, 1)

        with bars.stage("outer"), bars.stage("inner"):
            thread = Thread(target=work)
            thread.start()
            thread.join()
            bars.step(2, 3, "note")


def test_a_step_outside_of_any_stage_is_no_error() -> None:
    with Bars() as bars:
        bars.step(1, 2)
