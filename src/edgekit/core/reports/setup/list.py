"""The documents of `edgekit list`: names with their summaries, and models with their figures."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.reports.report import Estimate
from edgekit.core.system.documents import Document

# 1: first version.
LIST_SCHEMA: Final = 1
OWN: Final = "edgekit"


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One name. `origin` is `edgekit` or the location of a plug-in; `problem` is why it cannot be used."""

    name: str
    summary: str
    origin: str = OWN
    problem: str = ""


class ModelItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reference model. `macs` are the multiply-accumulate operations per sample, `quality` is that of the shipped
    weights on the test split, `weights` is `shipped` or how to get them; what needs PyTorch is null for plug-ins.
    """

    name: str
    summary: str
    origin: str = OWN
    problem: str = ""
    task: str = ""
    parameters: int | None = None
    macs: int | None = None
    metric: str = ""
    floor: float | None = None
    quality: Estimate | None = None
    weights: str = ""


class ModelListReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All reference models, in order."""

    items: tuple[ModelItem, ...]
    kind: str = "models"
    command: str = "list"
    schema_version: int = LIST_SCHEMA


class ListReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All names of one kind, in order."""

    kind: str
    items: tuple[Item, ...]
    command: str = "list"
    schema_version: int = LIST_SCHEMA
