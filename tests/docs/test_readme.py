"""What the README says to type works, in its order, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.readme import names_and_sizes, output_of, samples, with_sizes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Typed in the repository itself, where CI runs them as they stand.
ELSEWHERE = {"make demo", "make test"}
NEEDS_DATA = "--data"
# What the README shows of the output of a command.
SHOWN = samples(README)


def files() -> dict[str, str]:
    """The files that the README shows, by name."""
    return dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", README, re.DOTALL))


def commands() -> list[str]:
    """Every line that begins with `$ ` in a console block, without its comment."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    return [
        line[2:].partition("  #")[0].strip() for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ]


def test_the_two_commands_stand_at_the_top() -> None:
    first = README.index("```console")

    assert [name for name in ("make demo", "make test") if README.find(name) < 0] == []
    assert README.index("make demo") < README.index("## ")
    assert first < README.index("## ")


@pytest.mark.slow
def test_every_command_of_the_readme_ends_well(tmp_path: Path) -> None:
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    typed = [command for command in commands() if command not in ELSEWHERE and NEEDS_DATA not in command]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    assert len(typed) >= 8
    assert [command for command in SHOWN if NEEDS_DATA not in command]
    for command in typed:
        done = subprocess.run(
            shlex.split(command), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        if command in SHOWN:
            # What `onnx-int8` is depends on the processor: u8s7 without VNNI.
            printed = done.stdout.replace("u8s7", "u8s8")
            assert names_and_sizes(SHOWN[command]) == names_and_sizes(printed), "python -m benchmarks.readme"


@pytest.mark.slow
@pytest.mark.skipif("EDGEKIT_DATA" not in os.environ, reason="EDGEKIT_DATA names no folder of data sets")
@pytest.mark.parametrize("command", [command for command in SHOWN if NEEDS_DATA in command])
def test_what_the_readme_shows_of_real_data_has_the_names_and_sizes_of_a_run(command: str, tmp_path: Path) -> None:
    new = output_of(command, os.environ["EDGEKIT_DATA"], tmp_path)

    assert names_and_sizes(SHOWN[command]) == names_and_sizes(new), "python -m benchmarks.readme --data DIR"


def test_names_and_sizes_are_read_and_times_are_not() -> None:
    output = "onnx-fp32   155 kB   99.56 %  11.52 µs\n  size <= 100 kB\n    FAIL  onnx-fp32  155 kB, 54.6 kB over\n"

    assert names_and_sizes(output) == [("", "onnx-fp32", "155 kB"), ("FAIL", "onnx-fp32", "155 kB")]
    assert all(names_and_sizes(shown) for shown in SHOWN.values())


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)

    assert [link for link in links if not (ROOT / link).exists()] == []
    assert links


def test_new_sizes_leave_times_as_they_are() -> None:
    shown = "onnx-fp32    1155 kB   11.52 µs\n  size <= 100 kB\n    FAIL  onnx-fp32  1155 kB, 1055 kB over\n"
    new = "onnx-fp32    90 kB   99 µs\n  size <= 100 kB\n    FAIL  onnx-fp32  120 kB, 20 kB over\n"

    written = with_sizes(shown, new)

    assert written == "onnx-fp32      90 kB   11.52 µs\n  size <= 100 kB\n    FAIL  onnx-fp32  120 kB, 20 kB over\n"
