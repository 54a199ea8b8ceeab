"""Plan: what a command would do, for `--dry-run`."""

from __future__ import annotations

import msgspec


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The steps of a command in order, as sentences; making a plan touches nothing."""

    command: str
    steps: tuple[str, ...]
    schema_version: int = 1
