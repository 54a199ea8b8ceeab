"""What engines write below Python is caught."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgekit.runtime.backends.native_output import Captured, captured_stderr, stdout_to_stderr


def test_what_is_written_to_descriptor_2_is_kept_and_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with captured_stderr() as captured:
        os.write(2, b"INFO: created a delegate\nE: no driver\n")

    assert captured.text == "INFO: created a delegate\nE: no driver\n"
    assert capfd.readouterr().err == "E: no driver\n"


def test_it_is_kept_when_the_block_fails_and_not_printed_twice(capfd: pytest.CaptureFixture[str]) -> None:
    captured = Captured()

    def fail() -> None:
        nonlocal captured
        with captured_stderr() as captured:
            os.write(2, b"E: no driver\n")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()

    assert captured.text == "E: no driver\n"
    assert capfd.readouterr().err == ""


PROGRAM = """
import os
from edgekit.runtime.backends.native_output import stdout_to_stderr
with stdout_to_stderr() as stdout:
    os.write(1, b"below\\n")
    print("above")
    os.write(stdout, b"answer\\n")
print("after")
"""


def test_standard_output_is_kept_for_the_answer() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "answer\nafter\n"
    assert done.stderr == "below\nabove\n"


def test_standard_output_comes_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), stdout_to_stderr():
        raise ValueError("broken")
    os.write(1, b"back\n")

    assert capfd.readouterr().out == "back\n"
