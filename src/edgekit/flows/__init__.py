"""The work of each command, and the Python API: joins the layers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.flows.build import build
    from edgekit.flows.compare import compare
    from edgekit.flows.export import export
    from edgekit.flows.load import load
    from edgekit.flows.profile import profile
    from edgekit.flows.run import run
    from edgekit.flows.train import train
    from edgekit.flows.validate import validate

__all__ = ["build", "compare", "export", "load", "profile", "run", "train", "validate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        function = getattr(import_module(f"edgekit.flows.{name}"), name)
        # Importing the module bound its own name here; the function is what callers ask for.
        globals()[name] = function
        return function
    raise AttributeError(f"module 'edgekit.flows' has no attribute '{name}'")
