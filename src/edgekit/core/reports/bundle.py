"""The documents of `edgekit bundle` and `inspect`: contents, whether checksums match, how two artifacts differ."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.bundle import Manifest, QuantizedShare
from edgekit.core.reports.graph import GraphFacts
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.documents import Document

# 1: first version.
BUNDLE_REPORT_SCHEMA: Final = 1


class InspectReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The manifest of a bundle whose checksums all match."""

    bundle: str
    manifest: Manifest
    graphs: tuple[GraphFacts, ...] = ()
    command: str = "bundle inspect"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class FileReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model file outside of a bundle. `inputs` and `outputs` are what its backend reads, `reason` is why it fails."""

    file: str
    format: str
    size_bytes: int
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    graph: GraphFacts
    quantized: QuantizedShare | None = None
    reason: str = ""
    command: str = "inspect"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class VerifyReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Number and size of the files whose checksums match; a bundle with a mismatch is an error instead.

    `signed_by` is who of the allowed signers signed it, with the fingerprint of the `key`; empty if no
    signature was verified. `has_signature` is true for any signature, also one that was not verified.
    """

    bundle: str
    files: int
    size_bytes: int
    signed_by: str = ""
    key: str = ""
    has_signature: bool = False
    command: str = "bundle verify"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class SignReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Path of the bundle, and the key that signed it (with `--dry-run`: would sign it)."""

    bundle: str
    key: str
    written: bool
    command: str = "bundle sign"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class SbomReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Path of the bill of materials (with `--dry-run`: where it would be written), and how many parts it lists."""

    bundle: str
    out: str
    components: int
    written: bool
    command: str = "bundle sbom"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class PackReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Path of the packed bundle (with `--dry-run`: where it would be written)."""

    bundle: str
    out: str
    written: bool
    size_bytes: int | None = None
    command: str = "bundle pack"
    schema_version: int = BUNDLE_REPORT_SCHEMA


class Changed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A weight that both files contain: the root mean square of the change, relative to that of the weight."""

    name: str
    change: float


class BundleDiffReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two graphs side by side. `weights` are those in both files that differ, the most changed first."""

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
