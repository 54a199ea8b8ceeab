"""The document of `--dry-run`: the steps that a command would take."""

from __future__ import annotations

import msgspec

from edgekit.core.system.documents import Document


class PlanReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The steps of a command in order, one sentence each; a plan changes nothing."""

    command: str
    steps: tuple[str, ...]
    schema_version: int = 1
