"""edgekit takes a PyTorch model to a latency, accuracy and parity verdict on your own devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.flows import build, compare, export, load, profile, run, train, validate

__version__ = "0.1.0"

__all__ = ["__version__", "build", "compare", "export", "load", "profile", "run", "train", "validate"]


def __getattr__(name: str) -> Any:
    # Public functions are looked up when used: `import edgekit` alone stays free of numpy and every engine.
    if name in __all__:
        from edgekit import flows

        return getattr(flows, name)
    raise AttributeError(f"module 'edgekit' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
