"""The document of `edgekit tools`: an environment and where it is."""

from __future__ import annotations

import msgspec

from edgekit.core.system.documents import Document


class ToolReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One environment: what pip installed, and where it is."""

    tool: str
    requirement: str
    folder: str
    was_there: bool = False
    command: str = "tools install"
    schema_version: int = 1
