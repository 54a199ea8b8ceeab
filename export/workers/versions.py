"""Versions of the packages that make a format's files."""

from __future__ import annotations

import importlib.metadata
from typing import Final

_PACKAGES: Final = {
    "onnx": ("torch", "onnx", "onnxscript", "onnxslim", "onnxruntime"),
    "tflite": ("torch", "litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert"),
}


def versions(file_format: str) -> dict[str, str]:
    """Installed versions by package, without importing one; a missing package is left out."""
    found = {}
    for name in ("edgekit", *_PACKAGES.get(file_format, ("torch",))):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
