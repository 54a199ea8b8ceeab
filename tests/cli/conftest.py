"""Running the command line: in this process where that is the same, as a real process where it is not."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli.main import run


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; anything else beside it is an error."""
        document: dict[str, Any] = json.loads(self.out)
        return document


Run = Callable[..., Done]


@pytest.fixture
def quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and current folder: no settings of the person who runs the tests."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def edgekit(quiet_home: Path) -> Run:
    """`edgekit(*arguments)` in this process."""

    def call(*arguments: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(list(arguments))
        return Done(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def process(quiet_home: Path) -> Run:
    """`edgekit(*arguments)` as a process of its own."""

    def call(*arguments: str, **options: Any) -> Done:
        command = [sys.executable, "-m", "edgekit", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)
        return Done(done.returncode, done.stdout, done.stderr)

    return call
