"""Every network of the zoo by its name."""

from __future__ import annotations

import importlib
from typing import Final

from benchmarks.zoo.net import Net

MODULES: Final = (
    "detection",
    "imaging",
    "sound",
    "sequences",
    "foreign_transformers",
    "foreign_vision",
    "published",
)


def nets() -> dict[str, Net]:
    """All rows, in the order of their modules. Packages of the zoo's own environment are imported by factories only."""
    found = [net for module in MODULES for net in importlib.import_module(f"benchmarks.zoo.nets.{module}").NETS]
    return {net.name: net for net in found}
