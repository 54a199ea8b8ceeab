"""Tuning: what `edgekit tune` found out, and the file `NAME.tuning.json` beside a bundle that keeps its choices."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.facts import Facts
from edgekit.core.reports.report import Estimate
from edgekit.core.system import documents

# 1: first version.
TUNING_SCHEMA: Final = 1


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One artifact with one backend and one choice of options, and what was measured of it.

    `drop` is the loss of quality against PyTorch, `sqnr_db` the nearness of the answers. `refused` says why it may not
    be chosen, or is empty. `is_efficient`: no other is at least as good in latency, memory, quality and size.
    `is_tied`: the measurement does not tell it from the fastest.
    """

    artifact: str
    backend: str
    options: dict[str, str]
    launches: int
    latency: Estimate
    memory: Estimate
    size_bytes: int
    drop: float | None = None
    sqnr_db: float | None = None
    refused: str = ""
    is_efficient: bool = False
    is_tied: bool = False

    @property
    def target(self) -> str:
        """What stands behind the device in a target: `/onnxruntime@graph=all`."""
        return f"/{self.backend}" + "".join(f"@{name}={value}" for name, value in sorted(self.options.items()))


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to use for one artifact on one kind of device with one version of an engine.

    `is_chosen` marks the one of all artifacts that is used when none is asked for.
    """

    device: str
    engine: str
    artifact: str
    sha256: str
    backend: str
    options: dict[str, str]
    latency: Estimate
    created: str
    is_chosen: bool = False


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file beside a bundle: choices for every kind of device that it was tuned on."""

    model: str
    choices: tuple[Choice, ...] = ()
    schema_version: int = TUNING_SCHEMA


class TuneReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The result of `edgekit tune`: `launches` of the `exhaustive` ones that measuring everything fully takes."""

    bundle: str
    target: str
    device: str
    candidates: tuple[Candidate, ...]
    chosen: Candidate
    launches: int
    exhaustive: int
    file: str = ""
    warnings: tuple[str, ...] = ()
    command: str = "tune"
    schema_version: int = TUNING_SCHEMA


def device_kind(facts: Facts) -> str:
    """What devices have in common that take the same tuning: processor, architecture, number of cores."""
    return f"{facts.cpu or 'unknown processor'}, {facts.architecture}, {facts.cores or '?'} cores"


def read_tuning(path: Path) -> Tuning | None:
    """The tuning in a file; None where there is no such file.

    Raises:
        Unreadable: It is damaged, or of a newer schema.
    """
    return documents.read(path, Tuning, newest=TUNING_SCHEMA) if path.is_file() else None


def merged(old: Tuning | None, model: str, choices: Iterable[Choice]) -> Tuning:
    """`old` with the choices of one tuning in the place of all earlier ones of the same kind of device."""
    new = tuple(choices)
    kinds = {choice.device for choice in new}
    kept = tuple(choice for choice in old.choices if choice.device not in kinds) if old else ()
    return Tuning(model=model, choices=(*kept, *new))


def fitting(tuning: Tuning, kind: str, sha256s: Iterable[str]) -> tuple[Choice, ...]:
    """The choices for devices of this kind and files of these hashes, the chosen one first."""
    known = set(sha256s)
    found = [choice for choice in tuning.choices if choice.device == kind and choice.sha256 in known]
    return tuple(sorted(found, key=lambda choice: not choice.is_chosen))
