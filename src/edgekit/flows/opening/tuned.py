"""Finding the choice of `edgekit tune`: next to a bundle, or packed into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from edgekit.core.bundle import TUNING, Artifact, tuning_file
from edgekit.core.errors import EdgekitError
from edgekit.core.target import Target
from edgekit.flows.opening.artifacts import Opened, missing_backend
from edgekit.runtime.backend import BACKENDS

if TYPE_CHECKING:
    from edgekit.core.facts import Facts
    from edgekit.core.reports.tuning import Choice, Tuning

# What opens each format on another machine, by the names in its facts.
_ENGINES: Final = {"onnx": ("onnxruntime",), "tflite": ("ai-edge-litert", "litert", "tflite-runtime")}


def tuned(
    found: Opened, artifacts: Sequence[Artifact], target: Target, facts: Callable[[], Facts]
) -> tuple[Artifact, Target]:
    """The artifact and target to use: the tuned ones for this kind of device, otherwise the first that the device runs.

    A target that names a backend or an option stays as it is. A choice applies only to the file and the backend version
    that were measured.

    Args:
        facts: Returns the facts of the device; called only if there is a tuning, or artifacts of several formats.
    """
    known = tuning_of(found) if not (target.backend or target.options) else None
    if known is None:
        return _default(artifacts, target, facts), target
    # Most bundles have no tuning: loading them shall not pay for reading one.
    from edgekit.core.reports.tuning import device_kind, fitting

    by_hash = {artifact.sha256: artifact for artifact in artifacts}
    device = facts()
    for choice in fitting(known, device_kind(device), by_hash):
        if _has_engine(choice, device, is_here=target.device == "local"):
            options = tuple(sorted(choice.options.items()))
            return by_hash[choice.sha256], Target(target.device, choice.backend, options)
    return _default(artifacts, target, facts), target


def _default(artifacts: Sequence[Artifact], target: Target, facts: Callable[[], Facts]) -> Artifact:
    """The first artifact that a backend of the device opens; the first of all where its backends are not known."""
    if target.backend or len({one.format for one in artifacts}) == 1:
        return artifacts[0]
    if target.device == "local":
        # One after the other: a backend that is not needed is not imported.
        return next((one for one in artifacts if missing_backend(one.format) is None), artifacts[0])
    known = facts().engines
    names = {one.format: _ENGINES.get(one.format, ()) for one in artifacts}
    return next((one for one in artifacts if not known.keys().isdisjoint(names[one.format])), artifacts[0])


def tuning_of(found: Opened) -> Tuning | None:
    """The tuning next to a bundle or file, otherwise the one packed into it; errors as in `read_tuning`."""
    file = tuning_file(found.path)
    if not file.is_file() and found.bundle is not None and TUNING in found.bundle.manifest.files:
        file = found.bundle.root / TUNING
    if not file.is_file():
        return None
    from edgekit.core.reports.tuning import read_tuning

    return read_tuning(file)


def facts_here() -> Facts:
    """The facts of this machine."""
    from edgekit.runtime.facts import read_facts

    return read_facts()


def _has_engine(choice: Choice, device: Facts, *, is_here: bool) -> bool:
    """True when the engine has the version that was measured."""
    if is_here:
        try:
            return bool(BACKENDS.get(choice.backend)().check() == choice.engine)
        except EdgekitError:
            return False
    name, _, version = choice.engine.partition(" ")
    return version in (device.engines.get(name), device.engines.get({"litert": "ai-edge-litert"}.get(name, "")))
