"""Execution providers of ONNX Runtime: their names, and the check that the requested one runs the model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgekit.core.errors import EdgekitError, ProviderRefused, unknown
from edgekit.core.system.installation import pip_install, requirement, requirements

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_NOISE: Final = re.compile(
    r"^\d{4}-\d\d-\d\d \S+ \[\w:onnxruntime[^\]]*\] "  # 2026-11-21 04:23:05.68 [E:onnxruntime:Default, file.cc:24 f()]
    r"|\S+\.(?:cc|h):\d+ [^\[]*(?=\[ONNXRuntimeError\])"  # /src/file.cc:2043 onnxruntime::Provider& f()
    r"|^\S+\.(?:cc|h):\d+ [^()]*\([^()]*\) "  # /src/file.cc:729 void onnxruntime::f(Options&)
    r"|\[ONNXRuntimeError\] : \d+ : \w+ : "
)
_QUOTED_LINES: Final = 3
CPU: Final = "cpu"
_SUFFIX: Final = "ExecutionProvider"
# Names as targets write them, and what installs them. The packages share one module: only one may be installed.
PACKAGES: Final = {
    CPU: "onnxruntime",
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "openvino": "onnxruntime-openvino",
    "webgpu": "onnxruntime-webgpu",
    "qnn": "onnxruntime-qnn",
    "dml": "onnxruntime-directml",
    "coreml": "onnxruntime",
    "xnnpack": "",
    "nnapi": "",
    "acl": "",
    "migraphx": "onnxruntime-migraphx",
}
# What brings the libraries of a provider that loads them from elsewhere.
_LIBRARIES: Final = {
    "cuda": 'pip install "onnxruntime-gpu[cuda,cudnn]"',
    "tensorrt": 'pip install "onnxruntime-gpu[cuda,cudnn]" tensorrt',
}
# Shape arithmetic rightly stays on the CPU, so not every node must move; half of the nodes or of the time must.
MIN_SHARE: Final = 0.5


@dataclass(frozen=True)
class Placement:
    """Where one profiled run took place: total nodes and seconds, and those on the provider."""

    provider: str
    nodes: int
    nodes_on: int
    seconds: float
    seconds_on: float

    @property
    def is_taken(self) -> bool:
        """True if the provider ran at least half of the nodes, or nodes that took half of the time."""
        return self.nodes_on > 0 and max(self.node_share, self.time_share) >= MIN_SHARE

    @property
    def node_share(self) -> float:
        """Nodes on the provider, as a ratio."""
        return self.nodes_on / self.nodes if self.nodes else 0.0

    @property
    def time_share(self) -> float:
        """Time on the provider, as a ratio."""
        return self.seconds_on / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        return (
            f"{self.provider} ran {self.nodes_on} of {self.nodes} nodes, {100 * self.time_share:.0f} % of the node time"
        )


def short_name(engine_name: str) -> str:
    """`cuda` for `CUDAExecutionProvider`: the name that targets use."""
    return engine_name.removesuffix(_SUFFIX).lower()


def require(provider: str, ort: Any) -> str:
    """ONNX Runtime's own name for `provider`, which this build must have.

    Raises:
        UserError: The name is unknown; the nearest one is suggested.
        ProviderRefused: The installed build does not support it.
    """
    available = {short_name(name): name for name in ort.get_available_providers()}
    if provider in available:
        return str(available[provider])
    if provider not in PACKAGES:
        raise unknown("provider", provider, {*PACKAGES, *available} - {"azure"}, hint="--target local@provider=cpu")
    has = ", ".join(sorted(set(available) - {"azure"}))
    message = f"The installed onnxruntime {ort.__version__} does not support provider '{provider}', only {has}."
    raise ProviderRefused(message, hint=_install_hint(provider))


def order(engine_name: str, available: Iterable[str]) -> list[str]:
    """Providers to request: the wanted one, then CPU for the nodes it does not support."""
    wanted = [engine_name]
    if short_name(engine_name) == "tensorrt":
        wanted.append(f"CUDA{_SUFFIX}")
    wanted.append(f"CPU{_SUFFIX}")
    return [name for name in dict.fromkeys(wanted) if name in set(available)]


def refused(provider: str, instead: str, engine_output: str) -> EdgekitError:
    """The error for a provider that did not run the model, with what ONNX Runtime logged."""
    said = "".join(f"\n  {line}" for line in readable(engine_output)[:_QUOTED_LINES])
    reason = " ".join(readable(instead)).rstrip(".")
    message = f"Provider '{provider}' did not run the model: {reason}."
    return ProviderRefused(message + said, hint=_probe(provider, engine_output))


def readable(engine_output: str) -> list[str]:
    """The lines of ONNX Runtime's log without colours, time stamps, source lines and error codes."""
    lines = [_NOISE.sub("", _COLOUR.sub("", line)).strip() for line in engine_output.splitlines()]
    return [line for line in lines if line]


def read_placement(profile: Path, provider: str) -> Placement:
    """Where the nodes ran, according to a profile written by ONNX Runtime."""
    ran = [
        (short_name(event["args"]["provider"]), event["dur"] / 1e6)
        for event in json.loads(profile.read_text())
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and _is_work(event["args"])
    ]
    on = [seconds for where, seconds in ran if where == provider]
    return Placement(provider, len(ran), len(on), sum(seconds for _, seconds in ran), sum(on))


def _is_work(args: dict[str, str]) -> bool:
    """False for the copies that ONNX Runtime inserts between providers."""
    return "provider" in args and not args.get("op_name", "").startswith("Memcpy")


def _install_hint(provider: str) -> str:
    package = PACKAGES[provider]
    if not package:
        return "--target local@provider=cpu"
    if package == "onnxruntime":
        return pip_install(requirements("cpu"))
    return f"pip uninstall -y onnxruntime && {pip_install([requirement(package)])}"


def _probe(provider: str, engine_output: str) -> str:
    """The next command: install the missing libraries, or check whether there is a GPU at all."""
    if provider not in _LIBRARIES:
        return "edgekit doctor"
    return _LIBRARIES[provider] if "cannot open shared object file" in engine_output else "nvidia-smi"
