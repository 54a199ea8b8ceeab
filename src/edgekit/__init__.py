"""edgekit takes a PyTorch model to a latency, accuracy and parity verdict on your own devices."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgekit.core.system.version import VERSION

# edgekit sends nothing anywhere. The official packages of ONNX Runtime do (1.29 and newer; 1.27 did not), from the
# moment they are imported, and keep an identifier of the machine below ~/.cache. This variable stops both, set before
# that import; child processes inherit it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from edgekit.core.system.settings import Settings
    from edgekit.flows.build import build
    from edgekit.flows.compare import compare
    from edgekit.flows.export import export as export_model
    from edgekit.flows.load import load
    from edgekit.flows.opening.source import SourceOptions
    from edgekit.flows.profile import profile
    from edgekit.flows.run import run
    from edgekit.flows.sweep import sweep
    from edgekit.flows.train import train as train_model
    from edgekit.flows.tune import tune
    from edgekit.flows.validate import validate
    from edgekit.runtime.serving import SessionPool, newest, run_batch, stream

__version__ = VERSION

__all__ = [
    "SessionPool",
    "Settings",
    "SourceOptions",
    "__version__",
    "build",
    "compare",
    "export_model",
    "load",
    "newest",
    "profile",
    "run",
    "run_batch",
    "stream",
    "sweep",
    "train_model",
    "tune",
    "validate",
]

# `edgekit.export` and `edgekit.train` are packages, so these two functions carry the noun as well.
_PUBLIC = {
    "SessionPool": "edgekit.runtime.serving:SessionPool",
    "Settings": "edgekit.core.system.settings:Settings",
    "SourceOptions": "edgekit.flows.opening.source:SourceOptions",
    "build": "edgekit.flows.build:build",
    "compare": "edgekit.flows.compare:compare",
    "export_model": "edgekit.flows.export:export",
    "load": "edgekit.flows.load:load",
    "newest": "edgekit.runtime.serving:newest",
    "profile": "edgekit.flows.profile:profile",
    "run": "edgekit.flows.run:run",
    "run_batch": "edgekit.runtime.serving:run_batch",
    "stream": "edgekit.runtime.serving:stream",
    "sweep": "edgekit.flows.sweep:sweep",
    "train_model": "edgekit.flows.train:train",
    "tune": "edgekit.flows.tune:tune",
    "validate": "edgekit.flows.validate:validate",
}


def __getattr__(name: str) -> Any:
    if name == "qat":
        return import_module("edgekit.qat")
    # Looked up when used: `import edgekit` alone stays free of numpy and of every engine.
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgekit' has no attribute '{name}'")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
