"""Converters with an environment of their own are installed whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows import onnx_files

from edgekit.core.errors import ConversionFailed, EnvironmentFault, Refused, Unreadable
from edgekit.core.system.environments import (
    TOOLS,
    Tool,
    checked_program_of,
    folder_of,
    is_installed,
    is_unchanged,
    program_of,
    seal,
)
from edgekit.core.system.settings import Settings
from edgekit.flows.export import export
from edgekit.flows.order import door
from edgekit.flows.tools import install_order

install = door(install_order)
FAKE = Tool("no-such-requirement-==1", "nothing", (3, 11), "a tool that is not there")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


def test_without_its_environment_a_converter_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        export(str(onnx_files.dense(tmp_path / "net.onnx")), out=tmp_path / "out", to="tflite-fp32")

    assert (caught.value.code, caught.value.hint) == ("onnx2tf-missing", "edgekit tools install onnx2tf")


def test_a_python_that_is_too_old_is_refused_before_anything_is_made() -> None:
    with pytest.raises(EnvironmentFault, match=r"needs Python 3\.12 or newer, and '/bin/false' is not one") as caught:
        install("onnx2tf", python="/bin/false")

    assert caught.value.hint.startswith("edgekit tools install onnx2tf --python ")
    assert not folder_of("onnx2tf").exists()


def test_offline_nothing_is_fetched() -> None:
    with pytest.raises(EnvironmentFault, match="must be downloaded from the package index"):
        install("onnx2tf", settings=Settings(offline=True))


@pytest.mark.slow
def test_a_failed_installation_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOOLS, "fake", FAKE)
    # An index that is no folder: pip fails at once, without a network.
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(EnvironmentFault, match="'fake' was not installed: 'python' exited with 1"):
        install("fake")

    assert not folder_of("fake").exists()


def test_what_is_installed_is_not_installed_again() -> None:
    folder_of("onnx2tf").mkdir(parents=True)
    seal("onnx2tf")

    assert install("onnx2tf").was_there
    with install_order("onnx2tf") as order:
        assert order.steps()[0].startswith("nothing: ")


@pytest.fixture
def pretender(tmp_path: Path) -> Path:
    """An onnx2tf that is installed; what it does is written by the test."""
    program = program_of("onnx2tf")
    program.parent.mkdir(parents=True)
    seal("onnx2tf")
    assert is_installed("onnx2tf")
    return program


def test_an_environment_that_has_changed_is_not_run_and_is_installed_again(pretender: Path) -> None:
    pretender.write_text("#!/bin/sh\ntouch planted\n")

    with pytest.raises(Unreadable, match="has changed since it was installed") as caught:
        checked_program_of("onnx2tf")
    with pytest.raises(EnvironmentFault):
        install("onnx2tf", settings=Settings(offline=True))

    assert caught.value.hint == "edgekit tools install onnx2tf"
    seal("onnx2tf")
    assert checked_program_of("onnx2tf") == pretender
    (folder_of("onnx2tf") / "sitecustomize.py").touch()
    assert not is_unchanged("onnx2tf")
    (folder_of("onnx2tf") / "sitecustomize.py").unlink()
    (folder_of("onnx2tf") / "lib64").symlink_to("/tmp")
    assert not is_unchanged("onnx2tf")


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("echo 'ERROR: no kernel for Frobnicate' >&2; exit 1", "onnx2tf did not write a file: ERROR: no kernel"),
        ("exit 0", "onnx2tf did not write a file: it exited with code 0"),
        ("kill -9 $$", "onnx2tf did not write a file: it exited with code -9"),
        ('mkdir "$4"; echo junk > "$4/model_float32.tflite"', "wrote an invalid file|did not write a TFLite model"),
    ],
    ids=["fails", "silent", "killed", "garbage"],
)
def test_a_converter_that_goes_wrong_ends_in_one_error(
    does: str, message: str, pretender: Path, tmp_path: Path
) -> None:
    pretender.write_text(f"#!/bin/sh\n{does}\n")
    pretender.chmod(0o755)
    seal("onnx2tf")

    with pytest.raises(ConversionFailed, match=message):
        export(str(onnx_files.dense(tmp_path / "net.onnx")), out=tmp_path / "out", to="tflite-fp32")
