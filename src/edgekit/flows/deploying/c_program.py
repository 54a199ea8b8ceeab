"""The programs in C and in C++: the same files for every model, one generated file, and a Makefile."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.flows.deploying.c_settings import c_settings
from edgekit.flows.deploying.program_parts import TEMPLATES, Parts, unwritten, write_readme

_MAX_RANK: Final = 8
_MAX_TENSORS: Final = 64
_BACKENDS: Final = {"onnx": "onnxruntime.c", "tflite": "litert.c"}
# What a README says of each backend, by the format that it runs.
ABOUT: Final = {
    "onnx": {
        "backend": "ONNX Runtime",
        "library": "libonnxruntime.so.1",
        "variable": "ONNXRUNTIME_LIBRARY",
        "origin": "`pip download --no-deps onnxruntime` and unpack the wheel: `onnxruntime/capi/libonnxruntime.so.*`; "
        "or the archive of a release of ONNX Runtime",
    },
    "tflite": {
        "backend": "LiteRT",
        "library": "libLiteRt.so",
        "variable": "LITERT_LIBRARY",
        "origin": "`pip download --no-deps ai-edge-litert` and unpack the wheel: `ai_edge_litert/libLiteRt.so`",
    },
}


def refused_by_c(spec: ModelSpec, artifact: Artifact) -> str:
    """Why a program in C or C++ cannot run an artifact, empty if it can."""
    return beyond_c(artifact) or unwritten(spec, "C")


def beyond_c(artifact: Artifact) -> str:
    """Which limit of the files in C an artifact exceeds, empty if none."""
    tensors = (*artifact.inputs, *artifact.outputs)
    if max(len(one.shape) for one in tensors) > _MAX_RANK or len(tensors) > _MAX_TENSORS:
        return f"it has more than {_MAX_TENSORS} tensors, or one of more than {_MAX_RANK} axes"
    return ""


def write_c(parts: Parts, folder: Path) -> None:
    """The program in C."""
    _write_common(parts, folder)
    for name in ("main.c", "Makefile"):
        shutil.copyfile(TEMPLATES / "c" / name, folder / name)
    _write_readme(parts, folder, {"language": "C", "main": "main.c", "cross": ""})


def write_cpp(parts: Parts, folder: Path) -> None:
    """The program in C++: its own main and a class around the files in C."""
    _write_common(parts, folder)
    for name in ("main.cpp", "model.hpp", "Makefile"):
        shutil.copyfile(TEMPLATES / "cpp" / name, folder / name)
    _write_readme(
        parts, folder, {"language": "C++", "main": "main.cpp`, `model.hpp", "cross": " CXX=aarch64-linux-gnu-g++"}
    )


def write_c_files(parts: Parts, folder: Path) -> None:
    """The files in C that every program around them needs, with the settings of the model; `main.c` is not one."""
    for path in sorted((TEMPLATES / "c").glob("*.[ch]")):
        if path.name not in ("main.c", *_BACKENDS.values()):
            shutil.copyfile(path, folder / path.name)
    backend = _BACKENDS[parts.settings.format]
    shutil.copyfile(TEMPLATES / "c" / backend, folder / backend)
    (folder / "settings.c").write_bytes(c_settings(parts.settings))


def _write_common(parts: Parts, folder: Path) -> None:
    write_c_files(parts, folder)
    shutil.copyfile(parts.model, folder / parts.model_file)
    for name, content in parts.test_files.items():
        (folder / name).write_bytes(content)


def _write_readme(parts: Parts, folder: Path, values: dict[str, str]) -> None:
    form = {"image": "binary `.ppm` or `.pgm`", "audio": "`.wav`"}.get(
        str(type(parts.settings.preprocessing).__struct_config__.tag), ""
    )
    several = (
        f"; one `.npy` for each of its {len(parts.settings.inputs)} inputs" if len(parts.settings.inputs) > 1 else ""
    )
    more = several or f": {form + ', or ' if form else ''}`.npy`"
    example = f", `{parts.example.name}` and `example.bin`" if parts.example else ""
    about = {
        **ABOUT[parts.settings.format],
        "source": _BACKENDS[parts.settings.format],
        "more": more,
        "example": example,
    }
    write_readme(parts, "c", folder, {**about, **values})
