"""What the README says to type works, in its order, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Typed in the repository itself, where CI runs them as they stand.
ELSEWHERE = {"make demo", "make test"}
NEEDS_DATA = "--data"


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
    for command in typed:
        done = subprocess.run(
            shlex.split(command), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)

    assert [link for link in links if not (ROOT / link).exists()] == []
    assert links
