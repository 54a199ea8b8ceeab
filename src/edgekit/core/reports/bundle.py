"""The documents of `edgekit bundle`: what it holds, whether it is whole, how two artifacts differ."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.bundle import Manifest
from edgekit.core.reports.graph import GraphFacts

# 1: first version.
BUNDLE_REPORT_SCHEMA: Final = 1


class InspectReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The manifest of a bundle whose every hash was right."""

    bundle: str
    manifest: Manifest
    graphs: tuple[GraphFacts, ...] = ()
    command: str = "bundle inspect"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class VerifyReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many files of how many bytes had the right hash; there is no document for one that had not."""

    bundle: str
    files: int
    size_bytes: int
    command: str = "bundle verify"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class PackReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the packed bundle lies (with `--dry-run`: would lie)."""

    bundle: str
    out: str
    written: bool
    size_bytes: int | None = None
    command: str = "bundle pack"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class Changed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A weight that both files have under one name: the root mean square of the change, as a share of its size."""

    name: str
    change: float


class BundleDiffReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two graphs side by side. `weights` are those with one name in both that differ, most changed first."""

    bundle: str
    a: GraphFacts
    b: GraphFacts
    size_a_bytes: int
    size_b_bytes: int
    weights: tuple[Changed, ...] = ()
    equal_weights: int = 0
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    command: str = "bundle diff"
    schema_version: int = 1
