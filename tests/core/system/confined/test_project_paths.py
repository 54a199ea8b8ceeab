"""What a project's file names lies in its own folder, wherever links lead; what edgekit did not write stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.core.system.confined.project_paths import inside, refuse_foreign


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with links that lead away, and one that does not."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (folder / "away").symlink_to(tmp_path / "elsewhere")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere" / "model.onnx")
    (folder / "near").symlink_to(folder / "models")
    return folder


@pytest.mark.parametrize(
    "text", ["models/net.onnx", "new/net", "near/net.onnx", "a.tflite@signature=encode", ".cache/x"]
)
def test_what_is_below_the_folder_is_let_through(text: str, project: Path) -> None:
    assert inside(project, text, "path") == project / text


@pytest.mark.parametrize(
    "text",
    [
        "../docs",
        "/etc/passwd",
        "models/../../docs",
        "away/net.onnx",
        "away",
        "model.onnx",
        "model.onnx@signature=encode",
        ".",
        "models/..",
        ".git/config",
        "models/../.git/hooks/post-checkout",
        "net\n.onnx",
        "net\0.onnx",
    ],
)
def test_what_is_elsewhere_is_refused_with_its_key(text: str, project: Path) -> None:
    with pytest.raises(UserError, match=r"models\[0\]\.path: .* is outside of") as caught:
        inside(project, text, "models[0].path")

    assert "below its own folder" in caught.value.hint


def test_only_what_edgekit_wrote_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text('{"schema_version": 1, "artifacts": []}')
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "manifest.json").write_text('{"name": "an app"}')
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()

    for name in ("bundle", "empty", "new"):
        refuse_foreign(tmp_path / name, "path")
    for name in ("docs", "notes.txt"):
        with pytest.raises(UserError, match=f"path: .*{name}' was not written by edgekit"):
            refuse_foreign(tmp_path / name, "path")
