"""The document of `edgekit tune`, and the file `NAME.tuning.json` next to a bundle that stores its choices."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.facts import Facts
from edgekit.core.reports.report import Estimate
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.system import documents
from edgekit.core.system.documents import Document
from edgekit.core.verdict import Verdict

# 1: first version.
TUNING_SCHEMA: Final = 1
# 1: first version. 2: when it was made, tools and reproduction. 3: `missing`, `verdict`; `chosen` may be null.
TUNE_REPORT_SCHEMA: Final = 3
# "Raspberry Pi 5 Model B Rev 1.1": revisions of a board differ in memory and power supply, not in the processor.
_REVISION: Final = re.compile(r",? Rev(?:ision)? ?[0-9A-Z]+(?:\.[0-9]+)*(?= \(|,)")
# The kind of an Arm device: board, processor, and the rest.
_BOARD: Final = re.compile(r"(.+) \(([^()]+)\)(, (?:aarch64|arm\w+), .*)")
_VERSION: Final = re.compile(r"\d+\.\d+(?![\d])")


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One artifact with one backend and one set of options, and its measurements.

    `drop` and `sqnr_db` compare it with PyTorch. `refused` says why it cannot be chosen, or is empty. `is_efficient`:
    no other candidate is at least as good in latency, memory, quality and size. `is_tied`: the measurement does not
    distinguish it from the fastest.
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
        """The part of a target after the device: `/onnxruntime@graph=all`."""
        return f"/{self.backend}" + "".join(f"@{name}={value}" for name, value in sorted(self.options.items()))


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The best backend and options for one artifact, one kind of device and one backend version.

    `is_chosen` marks the artifact that is used by default.
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


class Tuning(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file next to a bundle: choices for every kind of device that it was tuned on."""

    model: str
    choices: tuple[Choice, ...] = ()
    schema_version: int = TUNING_SCHEMA


class TuneReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The result of `edgekit tune`: it took `launches` launches; measuring everything takes `exhaustive`.

    `missing` says why the device could not be measured to the end; then nothing is chosen and nothing is saved, and the
    verdict is incomplete.
    """

    bundle: str
    target: str
    device: str
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    launches: int
    exhaustive: int
    file: str = ""
    missing: str = ""
    warnings: tuple[str, ...] = ()
    created: str = ""
    tools: dict[str, str] = {}
    reproduction: Reproduction | None = None
    command: str = "tune"
    verdict: Verdict = Verdict.PASS
    schema_version: int = TUNE_REPORT_SCHEMA


def device_kind(facts: Facts) -> str:
    """What devices that share a tuning have in common: board without its revision, processor, architecture, cores."""
    return _any_revision(f"{facts.cpu or 'unknown processor'}, {facts.architecture}, {facts.cores or '?'} cores")


def is_same_kind(one: str, other: str) -> bool:
    """True if devices of these kinds share a tuning; the board counts only where both know it, containers do not."""
    one, other = _any_revision(one), _any_revision(other)
    if one == other:
        return True
    boards = [_BOARD.fullmatch(kind) for kind in (one, other)]
    bare = [f"{found[2]}{found[3]}" if found else kind for found, kind in zip(boards, (one, other), strict=True)]
    return bare[0] == bare[1] and not all(boards)


def _any_revision(kind: str) -> str:
    return _REVISION.sub("", kind)


def is_compatible(measured: str, present: str) -> bool:
    """True if a choice made with one version of a backend holds for another: the same major and minor number."""
    numbers = [_VERSION.match(version) for version in (measured, present)]
    return all(numbers) and len({found[0] for found in numbers if found}) == 1


def read_tuning(path: Path) -> Tuning | None:
    """The tuning in a file; None if there is no such file.

    Raises:
        Unreadable: It is damaged, or has a newer schema.
    """
    return documents.read(path, Tuning, newest=TUNING_SCHEMA) if path.is_file() else None


def merged(old: Tuning | None, model: str, choices: Iterable[Choice]) -> Tuning:
    """`old` with new choices, which replace all earlier ones for the same kind of device."""
    new = tuple(choices)
    kinds = {choice.device for choice in new}
    kept = [one for one in old.choices if not any(is_same_kind(one.device, kind) for kind in kinds)] if old else []
    return Tuning(model=model, choices=(*kept, *new))


def fitting(tuning: Tuning, kind: str, sha256s: Iterable[str]) -> tuple[Choice, ...]:
    """The choices for this kind of device and files with these checksums, the chosen one first."""
    known = set(sha256s)
    found = [choice for choice in tuning.choices if is_same_kind(choice.device, kind) and choice.sha256 in known]
    return tuple(sorted(found, key=lambda choice: not choice.is_chosen))
