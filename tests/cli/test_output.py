from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli.output import Output, columns, fitting, results_apart

# A command whose work prints in every way there is: by Python, by a C library, by a child process.
NOISY = """
import ctypes, subprocess, sys
from edgekit.cli.output import results_apart
with results_apart() as output:
    print("from python")
    ctypes.CDLL(None).puts(b"from c")
    ctypes.CDLL(None).fflush(None)
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    output.write_document({"result": "µ"})
print("afterwards")
"""


def test_only_the_result_reaches_standard_output() -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, timeout=60, check=True)

    document, afterwards = done.stdout.decode().rsplit("\n", 2)[:2]
    assert json.loads(document) == {"result": "µ"}
    assert afterwards == "afterwards"
    assert set(done.stderr.decode().split("\n")) >= {"from python", "from c", "from a child"}


def test_results_go_to_the_stream_that_a_program_put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    with results_apart() as output:
        print("noise")
        output.write_text("result")

    assert stream.getvalue() == "result\n"
    assert sys.stdout is stream


def test_nobody_resizes_a_stream_that_is_no_terminal() -> None:
    output = Output(io.StringIO())

    assert (output.is_terminal, output.columns) == (False, None)


def test_text_ends_with_one_newline() -> None:
    stream = io.StringIO()

    Output(stream).write_text("a")
    Output(stream).write_text("b\n")

    assert stream.getvalue() == "a\nb\n"


@pytest.mark.parametrize(
    ("rows", "text"),
    [([("a", "bb"), ("ccc", "")], "a    bb\nccc"), ([], ""), ([("µ", "x"), ("mm", "y")], "µ   x\nmm  y")],
)
def test_columns_are_aligned_without_trailing_blanks(rows: list[tuple[str, ...]], text: str) -> None:
    assert columns(rows) == text


def test_an_old_encoding_of_the_terminal_ends_nothing(process: Any, tmp_path: Path) -> None:
    done = process("list", "recipes", env={"PYTHONIOENCODING": "ascii", "HOME": str(tmp_path)})

    assert done.code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [("list", "recipes"), ("--help",)], ids=" ".join)
def test_a_full_disk_under_standard_output_is_an_error_of_the_machine(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgekit", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_long_lines_wrap_at_words_and_continue_under_their_last_column() -> None:
    table = ["onnx-int8-static-u8s8  ONNX, int8 weights, uint8 activations from calibration", "a sentence", ""]

    assert list(fitting(table, 50)) == [
        "onnx-int8-static-u8s8  ONNX, int8 weights, uint8",
        "                       activations from",
        "                       calibration",
        "a sentence",
        "",
    ]
    assert list(fitting(table, 100)) == table
    assert list(fitting(["/a/very/long/path/that/has/no/space/in/it/at/all"], 20)) == [
        "/a/very/long/path/that/has/no/space/in/it/at/all"
    ]
