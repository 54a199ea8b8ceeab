"""The document that `--json` prints if a command fails."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.system.documents import Document

# 1: first version.
ERROR_SCHEMA: Final = 1


class ErrorFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What failed: the class in `core/errors.py`, its message, the next command to run, and the exit code.

    `code` is the reason in `core/refusals.py` if something is known not to work, else empty.
    """

    kind: str
    message: str
    hint: str
    exit_code: int
    code: str = ""


class ErrorReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `--json` prints instead of a result."""

    command: str
    error: ErrorFacts
    ok: bool = False
    schema_version: int = ERROR_SCHEMA
