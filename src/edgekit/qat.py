"""Quantization-aware training of a user's own network: `prepare`, train on, `convert`, export."""

from __future__ import annotations

from edgekit.train.qat.prepare import convert, prepare

__all__ = ["convert", "prepare"]
