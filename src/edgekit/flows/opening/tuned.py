"""Finding the choice of `edgekit tune`: next to a bundle, or packed into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

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


class Tuned(NamedTuple):
    """The artifact and target to use; `note` says that a tuning was made with another version of the backend."""

    artifact: Artifact
    target: Target
    note: str = ""


def tuned(found: Opened, artifacts: Sequence[Artifact], target: Target, facts: Callable[[], Facts]) -> Tuned:
    """The artifact and target to use: the tuned ones for this kind of device, otherwise the first that the device runs.

    A target that names a backend or an option stays as it is. A choice applies only to the file that was measured, and
    to versions of the backend with the same major and minor number.

    Args:
        facts: Returns the facts of the device; called only if there is a tuning, or artifacts of several formats.
    """
    known = tuning_of(found) if not (target.backend or target.options) else None
    if known is None:
        return Tuned(_default(artifacts, target, facts), target)
    # Most bundles have no tuning: loading them shall not pay for reading one.
    from edgekit.core.reports.tuning import device_kind, fitting, is_compatible

    by_hash = {artifact.sha256: artifact for artifact in artifacts}
    device, refused = facts(), ""
    for choice in fitting(known, device_kind(device), by_hash):
        measured, versions = choice.engine.partition(" ")[2], _versions(choice, device, target)
        version = next((one for one in versions if is_compatible(measured, one)), "")
        if version:
            options = tuple(sorted(choice.options.items()))
            note = "" if version == measured else f"{_made_with(choice, version)}."
            return Tuned(by_hash[choice.sha256], Target(target.device, choice.backend, options), note)
        refused = refused or f"{_made_with(choice, versions[0] if versions else '')}, so it was not used."
    return Tuned(
        _default(artifacts, target, facts), target, refused and f"{refused} To tune again: edgekit tune {found.path}"
    )


def _default(artifacts: Sequence[Artifact], target: Target, facts: Callable[[], Facts]) -> Artifact:
    """The first artifact that a backend of the device opens; the first of all where its backends are not known."""
    if target.backend or len({one.format for one in artifacts}) == 1:
        return artifacts[0]
    if target.device == "local":
        # One after the other: a backend that is not needed is not imported.
        return next((one for one in artifacts if missing_backend(one.format) is None), artifacts[0])
    known = facts().engines
    names = {one.format: _ENGINES.get(one.format, ()) for one in artifacts}
    return next((one for one in artifacts if any(_has(name, known) for name in names[one.format])), artifacts[0])


def _has(name: str, packages: Iterable[str]) -> bool:
    """True if a library is there in any of its packages: `onnxruntime`, `onnxruntime-gpu`."""
    return any(one == name or one.startswith(f"{name}-") for one in packages)


def _made_with(choice: Choice, version: str) -> str:
    name = choice.engine.partition(" ")[0]
    present = f"this is {version}" if version else f"this device has no {name}"
    return f"The tuning was made with {choice.engine}; {present}"


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


def _versions(choice: Choice, device: Facts, target: Target) -> list[str]:
    """The versions of the choice's backend on the device, whichever of its packages has it."""
    name = choice.engine.partition(" ")[0]
    if target.device == "local":
        try:
            found: str = BACKENDS.get(choice.backend)().check()
        except EdgekitError:
            return []
        return [found.partition(" ")[2]] if found.partition(" ")[0] == name else []
    package = {"litert": "ai-edge-litert"}.get(name, name)
    return [version for one, version in device.engines.items() if _has(package, [one])]
