"""The document of `edgekit init`: the files it wrote, and the models that they name."""

from __future__ import annotations

import msgspec

from edgekit.core.system.documents import Document


class InitReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Files written, the models to check, and what is left to do by hand, one sentence each."""

    written: tuple[str, ...]
    models: tuple[str, ...]
    remaining: tuple[str, ...] = ()
    command: str = "init"
    schema_version: int = 1
