"""What the processor of this machine does to int8."""

from __future__ import annotations

from typing import Final

from edgekit.core.recipe import VNNI_FEATURES
from edgekit.runtime.facts import read_facts

_FEATURES: Final = frozenset(read_facts().features)
SATURATES: Final = "x86_64" in _FEATURES and not _FEATURES & VNNI_FEATURES
"""x86-64 without VNNI: sums of 8-bit weights saturate, and its outputs are not those of a device."""
INT8: Final = "onnx-int8-static-u8s7" if SATURATES else "onnx-int8-static-u8s8"
"""What `onnx-int8` is on this x86-64 machine."""
