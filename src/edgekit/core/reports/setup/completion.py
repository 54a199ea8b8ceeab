"""The document of `edgekit completion`: the script of one shell."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.system.documents import Document

# 1: first version.
COMPLETION_SCHEMA: Final = 1


class CompletionReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The completion script of one shell."""

    shell: str
    script: str
    command: str = "completion"
    schema_version: int = COMPLETION_SCHEMA
