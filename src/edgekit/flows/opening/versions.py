"""Versions of the tools that affect a result."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Final

from edgekit.core.system.version import VERSION

DISTRIBUTIONS: Final = (
    "torch",
    "onnx",
    "onnxscript",
    "onnxslim",
    "onnxruntime",
    "onnxruntime-gpu",
    "litert-torch",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "tflite-runtime",
    "numpy",
)


def versions() -> dict[str, str]:
    """Version by name of edgekit, Python, and the installed backends and converters."""
    found = {"edgekit": VERSION, "python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
