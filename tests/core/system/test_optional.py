"""Promises of core/system/optional.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import MissingExtra
from edgekit.core.system.optional import need


def test_an_installed_package_is_given() -> None:
    assert need("json.decoder", extra="cpu").JSONDecoder().decode("1") == 1


def test_a_missing_package_names_the_command_that_installs_it() -> None:
    with pytest.raises(MissingExtra) as caught:
        need("edgekit_no_such_package", extra="tflite")

    assert caught.value.message == "This needs the package 'edgekit_no_such_package', which is not installed."
    assert caught.value.hint == 'pip install "ai-edge-litert>=2.1" "flatbuffers>=24.3.25"'


def test_a_missing_dependency_of_a_package_is_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import edgekit_no_such_package")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(MissingExtra, match="'edgekit_no_such_package', which is not installed"):
        need("half_installed", extra="cpu")


@pytest.mark.parametrize(
    "statement",
    [
        "raise ImportError('libcuda.so.1: cannot open shared object file')",
        "raise OSError('libcudart.so.13: cannot open shared object file')",
        "raise ValueError('numpy.dtype size changed')",
    ],
)
def test_a_package_that_does_not_import_says_why(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_engine.py").write_text(statement)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(MissingExtra, match=r"'broken_engine' is installed but cannot be imported: .*(object|size)"):
        need("broken_engine", extra="gpu")


def test_ctrl_c_during_an_import_is_no_broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interrupted.py").write_text("raise ImportError('initialization failed') from KeyboardInterrupt()")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(KeyboardInterrupt):
        need("interrupted", extra="cpu")
