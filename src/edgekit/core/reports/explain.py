"""The document of `edgekit explain`: causes with their evidence, and what remains unexplained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from edgekit.core.system.documents import Document

# 1: first version.
EXPLAIN_SCHEMA: Final = 1


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cause of a latency: its name, what it means, the evidence, and the command that tests it."""

    name: str
    artifact: str
    target: str
    says: str
    evidence: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class CausePlace:
    """Artifacts on one target that a cause concerns with the same evidence."""

    artifacts: tuple[str, ...]
    target: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class CauseGroup:
    """One cause with every place where it was found, and the commands that test it, each once."""

    name: str
    says: str
    places: tuple[CausePlace, ...]
    commands: tuple[str, ...]


def grouped(causes: Sequence[Cause]) -> tuple[CauseGroup, ...]:
    """Causes in order, each once with all artifacts and targets that it concerns."""
    found: dict[tuple[str, str], list[Cause]] = {}
    for cause in causes:
        found.setdefault((cause.name, cause.says), []).append(cause)
    return tuple(
        CauseGroup(name, says, _places(same), tuple(dict.fromkeys(one.command for one in same)))
        for (name, says), same in found.items()
    )


def _places(causes: Sequence[Cause]) -> tuple[CausePlace, ...]:
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for cause in causes:
        found.setdefault((cause.target, cause.evidence), []).append(cause.artifact)
    return tuple(
        CausePlace(tuple(dict.fromkeys(names)), target, evidence) for (target, evidence), names in found.items()
    )


class ExplainReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The causes in one report, or of the differences between two.

    `unexplained` are observations without a cause; `unseen` is what could not be examined, with the reason. Without
    causes and observations there is nothing to explain.
    """

    report: str
    other: str = ""
    causes: tuple[Cause, ...] = ()
    unexplained: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    command: str = "explain"
    schema_version: int = EXPLAIN_SCHEMA
