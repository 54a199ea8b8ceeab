"""The document of `edgekit config`: every setting in force."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.system.documents import Document
from edgekit.core.system.settings import Setting

# 1: first version.
CONFIG_REPORT_SCHEMA: Final = 1


class ConfigReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting in force, with where it came from."""

    settings: tuple[Setting, ...]
    command: str = "config show"
    schema_version: int = CONFIG_REPORT_SCHEMA
