"""Writes the outputs that the README shows, from runs of the commands above them.

python -m benchmarks.readme [--data DIR] [--sizes]

Without a folder of data sets, commands with `--data` stay as they are. A test holds names and sizes equal to those of a
new run. Times are those of the machine and the moment: on a busy one, `--sizes` writes the sizes only.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgekit.core.system.durable.owners import temporary_folder

README: Final = Path(__file__).resolve().parent.parent / "README.md"
# A command and what it prints, in two blocks that follow each other.
_SAMPLE: Final = re.compile(r"(?<=```console\n\$ )(edgekit [^\n]+)\n```\n\n```text\n(.*?)(?=```)", re.DOTALL)
# Verdict of a budget (none in the table), artifact, gap, size, and what exceeds the budget.
_SIZED: Final = re.compile(
    r"^(?: *(pass|FAIL) +)?((?:onnx|tflite)-\S+)( +)(\d[\d.]* kB)(, [\d.]+ kB over)?", re.MULTILINE
)


def samples(text: str) -> dict[str, str]:
    """What the README shows of the output of a command, by command."""
    return {found[1]: found[2] for found in _SAMPLE.finditer(text)}


def names_and_sizes(output: str) -> list[tuple[str, str, str]]:
    """Every artifact of a printed report with its size, and what a budget of size says of it, in the printed order."""
    return [(found[1] or "", found[2], found[4]) for found in _SIZED.finditer(output)]


def output_of(command: str, data: str, folder: Path) -> str:
    """What a command of the README prints when it is typed in `folder`."""
    words = [data if word == "DIR" else word for word in shlex.split(command)]
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}")
    return done.stdout


def with_sizes(shown: str, new: str) -> str:
    """An output with the sizes of a new one, and with what exceeds a budget of size."""
    sizes = {found.group(1, 2): found.group(4, 5) for found in _SIZED.finditer(new)}

    def replaced(found: re.Match[str]) -> str:
        size, over = sizes.get(found.group(1, 2), found.group(4, 5))
        start = found[0][: found.start(3) - found.start()]
        column = found[3] + size if found[1] else size.rjust(len(found[3] + found[4]))
        return start + column + (over or "")

    return _SIZED.sub(replaced, shown)


def written(text: str, data: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Each shown output with a new one."""
    for command, shown in samples(text).items():
        if data or "--data" not in command:
            yield shown, output_of(command, data, folder)


def main() -> None:
    """Write the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="")
    parser.add_argument("--sizes", action="store_true")
    options = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    with temporary_folder() as folder:
        for shown, new in written(text, options.data, Path(folder)):
            text = text.replace(shown, with_sizes(shown, new) if options.sizes else new)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
