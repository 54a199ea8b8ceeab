"""The program in Python: one zip that the interpreter runs."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import zip_entry
from edgekit.flows.deploying.program_parts import Parts, write_readme
from edgekit.runtime.portable import FOLDER

ZIPAPP: Final = "model.pyz"
PACKAGES: Final = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}
_MODULES: Final = ("deployed.py", "found_objects.py", "inputs.py", "runner.py")
# Without numpy not even the program's own message could be printed.
_START: Final = b"""\
import sys

try:
    from model.deployed import main
except ImportError as err:
    print(f"Error: it has no '{err.name}' for Python {sys.version.split()[0]} ({err})", file=sys.stderr)
    sys.exit(3)
sys.exit(main(sys.argv[1:]))
"""


def refused_by_python(spec: ModelSpec, artifact: Artifact) -> str:
    """Why the program cannot run an artifact, empty if it can: it runs all that any program can."""
    return ""


def write_python(parts: Parts, folder: Path) -> None:
    """`model.pyz` and its README."""
    write_zipapp(parts, folder / ZIPAPP)
    package = PACKAGES[parts.settings.format]
    is_image = isinstance(parts.settings.preprocessing, ImageInput)
    more = ", and Pillow for images" if is_image else ""
    write_readme(parts, "python", folder, {"package": package, "more": more, "install": install_command(parts)})


def install_command(parts: Parts) -> str:
    """The command that installs what the program needs."""
    pillow = " pillow" if isinstance(parts.settings.preprocessing, ImageInput) else ""
    return f"pip install numpy {PACKAGES[parts.settings.format]}{pillow}"


def write_zipapp(parts: Parts, path: Path) -> None:
    """The program as one zip; equal parts give equal bytes."""
    modules = {name: (FOLDER / name).read_bytes() for name in _MODULES}
    files = {"__main__.py": _START, "model/__init__.py": b""}
    inside = {**modules, "settings.json": parts.settings.encoded(), **parts.test_files}
    files |= {f"model/{name}": content for name, content in inside.items()}
    with path.open("wb") as stream:
        stream.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, content in files.items():
                archive.writestr(zip_entry(name), content)
            with parts.model.open("rb") as model, archive.open(zip_entry(f"model/{parts.model_file}"), "w") as entry:
                shutil.copyfileobj(model, entry)
    path.chmod(0o755)
