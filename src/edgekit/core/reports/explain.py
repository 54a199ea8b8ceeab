"""The document of `edgekit explain`: causes with their evidence, and what remains unexplained."""

from __future__ import annotations

from collections.abc import Sequence
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


def together(causes: Sequence[Cause]) -> tuple[tuple[Cause, tuple[str, ...]], ...]:
    """Causes in order; one that several artifacts have in common appears once, with all of them."""
    found: dict[tuple[object, ...], tuple[Cause, list[str]]] = {}
    for cause in causes:
        same = (cause.name, cause.target, cause.says, cause.evidence, cause.command)
        found.setdefault(same, (cause, []))[1].append(cause.artifact)
    return tuple((cause, tuple(dict.fromkeys(names))) for cause, names in found.values())


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
