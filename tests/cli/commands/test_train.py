"""Options of `edgekit train` that exclude or need each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--resume",), "resume"),
        (("--init-from", "digits"), "init-from"),
        (("--qat",), "qat"),
        (("--set", "qat=true"), "qat"),
        (("--freeze", "conv1"), "freeze"),
    ],
)
def test_a_search_begins_each_training_anew(
    words: tuple[str, ...], name: str, edgekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = edgekit("train", "digits", "--search", "2", *words)

    assert done.code == 2
    assert f"--search and --{name} cannot be combined." in done.err
    assert not Path("runs").exists()


def test_training_with_rounding_says_what_it_needs(
    edgekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = edgekit("train", "digits", "--qat")

    assert done.code == 2
    assert "continues from trained weights" in done.err
    assert "--qat --init-from digits" in done.err
    assert not Path("runs/digits/run.json").exists()
