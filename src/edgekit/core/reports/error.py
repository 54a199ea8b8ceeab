"""The document that `--json` prints where a command fails."""

from __future__ import annotations

from typing import Final

import msgspec

# 1: first version.
ERROR_SCHEMA: Final = 1


class ErrorFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What failed: the class of `core/errors.py`, what it says, the next command to type, and the exit code.

    `code` is the reason in `core/refusals.py` where something is known not to work, else empty.
    """

    kind: str
    message: str
    hint: str
    exit_code: int
    code: str = ""


class ErrorReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `--json` prints instead of a result."""

    command: str
    error: ErrorFacts
    ok: bool = False
    schema_version: int = ERROR_SCHEMA
