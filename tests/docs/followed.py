"""Pages that are followed literally: every command of a page, in its order, as a reader types it.

In a block ```console, a line that begins with `$ ` is typed, and the lines after it are what the page shows of the
output: all of it, or parts with `…` for what is left out. A command that does not end with 0 says so: `# exit code 3`.
A comment before a block says what a test cannot know from the block:

    <!-- not followed: WHY -->     it needs real hardware, a person, or root
    <!-- until Ctrl-C -->          its last command runs until its reader ends it
    <!-- file: NAME -->            the block is added to the end of this file
    <!-- stand-in: WHAT -->        what happens to the devices before it
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NOT_FOLLOWED: Final = {"real hardware", "a person", "root"}
LEFT_OUT: Final = "…"
TIMEOUT_S: Final = 600.0
_BLOCK: Final = re.compile(r"(?:<!-- ([^\n]*?) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
_CODE: Final = re.compile(r" +# exit code (\d+)$")
# What differs from run to run: addresses, times of the day, names of versions, figures with their units.
_VARIABLE: Final = (
    (re.compile(r"https?://\S+"), "ADDRESS"),
    (re.compile(r"\b\d{4}-[0-9a-f]{8}\b"), "VERSION"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"[-−]?\d[\d.,]*"), "0"),
    (re.compile(r"\b0 (?:ns|µs|ms|s|B|kB|MB|GB)(?= |$|[,.;)])"), "0 UNIT"),
)
_PROGRESS: Final = re.compile(r"^ +\d+\.\d s ")


@dataclass(frozen=True)
class Step:
    """One typed command, or a text that is added to a file."""

    typed: str
    shown: tuple[str, ...] = ()
    code: int = 0
    file: str = ""
    mark: str = ""

    @property
    def is_endless(self) -> bool:
        """It runs until its reader ends it."""
        return self.mark == "until Ctrl-C"


def steps(text: str) -> list[Step]:
    """What a reader of the page does, in order.

    Raises:
        AssertionError: A block or a comment before it is of an unknown kind.
    """
    found: list[Step] = []
    for mark, kind, body in _BLOCK.findall(text):
        assert kind in ("console", "toml", "text"), f"```{kind}"
        name, _, value = mark.partition(": ")
        if name == "not followed":
            assert value in NOT_FOLLOWED, mark
        elif kind == "console":
            typed = _typed(body)
            marked = 0 if name == "stand-in" else len(typed) - 1
            found += [Step(*one, mark=mark if place == marked else "") for place, one in enumerate(typed)]
        elif name == "file":
            found.append(Step(body, file=value))
    return found


def _typed(body: str) -> list[tuple[str, tuple[str, ...], int]]:
    """Each command of a block with what is shown of its output, and its exit code."""
    found: list[tuple[str, tuple[str, ...], int]] = []
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", "").partition("\n")
        code = _CODE.search(command)
        found.append((_CODE.sub("", command), tuple(output.splitlines()), int(code[1]) if code else 0))
    return found


def form(line: str) -> str:
    """A line of output without its figures."""
    for pattern, name in _VARIABLE:
        line = pattern.sub(name, line)
    return " ".join(line.split())


def has_form(shown: Sequence[str], out: str, err: str) -> bool:
    """Whether a command printed what a page shows: the lines, not the figures."""
    err = "\n".join(line for line in err.splitlines() if not _PROGRESS.match(line))
    return any(_matches([form(one) for one in shown], text) for text in (out, err, f"{out}\n{err}", f"{err}\n{out}"))


def _matches(shown: list[str], text: str) -> bool:
    """Whether the lines are those of the text; `…` stands for any number of lines, or for a part of one."""
    escaped = (re.escape(line).replace(re.escape(LEFT_OUT), "[^\n]*") for line in shown if line)
    pattern = "".join("(?:[^\n]*\n)*?" if line == "[^\n]*" else f"{line}\n" for line in escaped)
    printed = "".join(f"{line}\n" for line in map(form, text.splitlines()) if line)
    return re.fullmatch(pattern, printed) is not None


@dataclass
class Reader:
    """Someone who types what a page says, in `folder`.

    `replaced`: what only the test's machine calls otherwise. `before`: what happens to the devices, by the mark of a
    step. `heard` is given what a running command has said so far, and the command; it may raise.
    """

    folder: Path
    environment: Mapping[str, str]
    replaced: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    heard: Callable[[str, str], None] = lambda said, typed: None

    def follow(self, found: Sequence[Step]) -> None:
        """Take the steps; all files and the current folder stay for the next one.

        Raises:
            AssertionError: A command ends with another code, or prints lines that the page does not show.
        """
        current = self.folder
        for step in found:
            if step.mark in self.before:
                self.before[step.mark]()
            if step.file:
                with (self.folder / step.file).open("a") as file:
                    file.write(step.typed)
            else:
                current = self._type(step, current)

    def _type(self, step: Step, current: Path) -> Path:
        typed = step.typed
        for name, here in self.replaced.items():
            typed = typed.replace(name, here)
        out, err, place = (self.folder / f".{name}" for name in ("out", "err", "place"))
        with out.open("w") as printed, err.open("w") as said:
            process = subprocess.Popen(
                ["bash", "-c", f"trap 'pwd > {place}' EXIT\n{typed}"],
                cwd=current,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=said,
                start_new_session=True,
            )
            code = self._await(process, step, (out, err))
        texts = out.read_text(), err.read_text()
        context = f"$ {typed}\n{texts[0]}{texts[1]}\nThe page shows:\n" + "\n".join(step.shown)
        assert step.is_endless or code == step.code, f"exit code {code}\n{context}"
        assert not step.shown or has_form(step.shown, *texts), context
        return Path(place.read_text().strip()) if place.exists() else current

    def _await(self, process: subprocess.Popen[bytes], step: Step, files: tuple[Path, Path]) -> int:
        """The exit code; -1 for a command without an end, which ends when `heard` has heard enough."""
        end = time.monotonic() + TIMEOUT_S
        try:
            while process.poll() is None:
                assert time.monotonic() < end, step.typed
                self.heard("".join(file.read_text() for file in files), step.typed)
                if step.is_endless:
                    return -1
                time.sleep(0.1)
            return process.returncode
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def programs(folder: Path, scripts: Mapping[str, str]) -> str:
    """A folder of programs, `edgekit` and `python3` among them, that are found before all others; the PATH with it."""
    edgekit = {"edgekit": f'exec {sys.executable} -m edgekit "$@"', "python3": f'exec {sys.executable} "$@"'}
    folder.mkdir()
    for name, body in {**edgekit, **scripts}.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def ssh_program(hosts: Mapping[str, tuple[str, Path]]) -> str:
    """The body of an `ssh` that knows stand-ins by the addresses of a page: (name, client configuration) by address."""
    cases = [f"{address}) one={name}; config='{config}';;" for address, (name, config) in hosts.items()]
    lines = ['for one in "$@"; do', 'case "$one" in', *cases, "esac", 'given+=("$one")', "done"]
    return "\n".join([*lines, f'exec {shutil.which("ssh")} -F "$config" "${{given[@]}}"'])
