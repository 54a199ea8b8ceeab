"""The one door for paths that a project's own file names: they stay inside its folder, wherever links lead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from edgekit.core.errors import UserError
from edgekit.core.system.confined.outputs import is_bundle

# Where git keeps its settings, and the programs that it runs.
_GIT: Final = ".git"
_MODELS: Final = (".onnx", ".tflite", ".json")


def inside(folder: Path, text: str, what: str) -> Path:
    """The place that `text` names, which is inside `folder` after links are resolved.

    A file of a cloned repository names it, which its user may not have read: it must not choose what else is read,
    written or replaced on this machine.

    Args:
        what: The key and its file, for the message.

    Raises:
        UserError: It is outside of `folder`, is `folder` itself, or belongs to git.
    """
    root = Path(os.path.realpath(folder))
    # `model.tflite@signature=encode` names a file as well.
    for name in dict.fromkeys((text, text.partition("@")[0] or text)):
        if not name.isprintable() or not _is_below(root, Path(os.path.realpath(folder / name))):
            raise UserError(
                f"{what}: {text!r} is outside of '{folder}', the folder of the project's file.",
                hint="A project's file names only what is below its own folder: move or copy it there.",
            )
    return folder / text


def _is_below(root: Path, place: Path) -> bool:
    if place == root or not place.is_relative_to(root):
        return False
    return _GIT not in (part.lower() for part in place.relative_to(root).parts)


def refuse_foreign(path: Path, what: str) -> None:
    """Raise unless `path` is free or was written by edgekit: a bundle, whose manifest says so, or a model file.

    Raises:
        UserError: It is something else, which a project's file would have replaced.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if is_model(path):
        return
    raise UserError(
        f"{what}: '{path}' was not written by edgekit and is not replaced.",
        hint=f"Choose another place, or move '{path}' away.",
    )


def is_model(path: Path) -> bool:
    """Whether a project's file may replace what is at `path`: a bundle, or a model file."""
    return is_bundle(path) if path.is_dir() else path.suffix in _MODELS
