"""The program in JavaScript: a page that runs the model with ONNX Runtime Web."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system import documents
from edgekit.devices.web.packages import PACKAGES
from edgekit.flows.deploying.program_parts import TEMPLATES, Parts, unwritten, write_readme

# The version whose checksum edgekit knows, and that its browser devices run.
_PACKAGE: Final = next(package for package in PACKAGES if package.short == "ort")
_FORMS: Final = {
    "image": "every image that the browser opens",
    "audio": "`.wav` files of 16 bit with one channel",
    "array": "`.npy` files",
}


def refused_by_js(spec: ModelSpec, artifact: Artifact) -> str:
    """Why the page cannot run an artifact, empty if it can."""
    if artifact.format != "onnx":
        return f"ONNX Runtime Web does not run '.{artifact.format}'"
    return unwritten(spec, "JavaScript")


def write_js(parts: Parts, folder: Path) -> None:
    """The page, its modules and its package.json."""
    for path in sorted((TEMPLATES / "js").iterdir()):
        if path.suffix in (".mjs", ".html"):
            shutil.copyfile(path, folder / path.name)
    shutil.copyfile(parts.model, folder / parts.model_file)
    for name, content in {"settings.json": parts.settings.encoded(), **parts.test_files}.items():
        (folder / name).write_bytes(content)
    package = {"private": True, "type": "module", "dependencies": {_PACKAGE.name: _PACKAGE.version}}
    documents.write(folder / "package.json", package)
    tag = str(type(parts.settings.preprocessing).__struct_config__.tag)
    write_readme(parts, "js", folder, {"version": _PACKAGE.version, "form": _FORMS[tag]})
