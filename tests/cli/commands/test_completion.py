from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli.commands.completion import SHELLS
from edgekit.cli.program import COMMANDS, COMPLETE_VARIABLE
from edgekit.core.recipe import RECIPES


def _offered(words: str) -> list[str]:
    """What a shell would be offered for the last of `words`."""
    done = subprocess.run(
        [sys.executable, "-m", "edgekit"],
        env={
            **os.environ,
            COMPLETE_VARIABLE: "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_that_calls_edgekit(edgekit: Any, shell: str) -> None:
    done = edgekit("completion", shell)

    assert done.code == 0
    assert COMPLETE_VARIABLE in done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_its_shell_reads(edgekit: Any, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(edgekit("completion", shell).out)

    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_commands_are_offered_from_the_table() -> None:
    assert _offered("edgekit ") == list(COMMANDS)


def test_what_is_offered_depends_on_what_was_typed() -> None:
    assert _offered("edgekit bu") == ["build", "bundle"]
    assert _offered("edgekit bundle v") == ["verify"]
    assert "--budget" in _offered("edgekit build --b")


def test_recipes_are_offered_behind_a_comma_too() -> None:
    assert _offered("edgekit build digits --to tflite-fp") == ["tflite-fp32", "tflite-fp16"]
    assert _offered("edgekit build digits --to onnx-fp32,tflite-fp1") == ["onnx-fp32,tflite-fp16"]


def test_refused_recipes_are_not_offered() -> None:
    assert set(_offered("edgekit build digits --to ")) >= set(RECIPES)
    assert "tflite-int2" not in _offered("edgekit build digits --to ")


def test_models_and_files_are_offered_as_sources() -> None:
    assert "digits" in _offered("edgekit build dig")


def test_targets_are_the_users_devices_too_and_their_backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only 'local' and 'fake' were offered.
    (tmp_path / "devices.toml").write_text('schema_version = 1\n[pi5]\nssh = "pi@pi5.invalid"\n')
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))

    assert _offered("edgekit profile model.onnx --target ") == ["local", "fake", "pi5"]
    assert _offered("edgekit tune bundle --target local,p") == ["local,pi5"]
    assert _offered("edgekit run bundle --target local/onn") == ["local/onnxruntime"]
    assert _offered("edgekit devices check p") == ["pi5"]
    assert "devices" in _offered("edgekit list ")


def test_an_inventory_that_cannot_be_read_offers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "devices.toml").write_text("[")
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))

    assert _offered("edgekit profile model.onnx --target ") == [""]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("build dig", {"digits", "digit.py"}),
        ("build di", {"digits", "digit.py", "dir with space"}),
        ("build x", {"x.onnx", "xor"}),
    ],
)
def test_bash_offers_names_and_files(edgekit: Any, tmp_path: Path, words: str, offered: set[str]) -> None:
    # The script of click offered nothing for 'build dig': a file item removed the names before it.
    for name in ("digit.py", "x.onnx"):
        (tmp_path / name).touch()
    (tmp_path / "dir with space").mkdir()
    (tmp_path / "script").write_text(edgekit("completion", "bash").out)
    program = tmp_path / "edgekit"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgekit "$@"\n')
    program.chmod(0o755)

    typed = f"COMP_WORDS=(edgekit {words}); COMP_CWORD={len(words.split())}"
    # compopt works only while a person presses Tab.
    asked = f'compopt() {{ :; }}; {typed}; _edgekit_completion {program}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", f". ./script; {asked}"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )

    assert set(done.stdout.splitlines()) == offered
