"""The document of `edgekit deploy`: the program that was written, or the versions on a device."""

from __future__ import annotations

import msgspec

from edgekit.core.system.documents import Document


class DeployReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A program of one artifact in the folder `out`, with the cases of its self-test.

    `difference` is the largest difference from the cases on this machine, as a share of the output's range.
    """

    bundle: str
    artifact: str
    language: str
    out: str
    cases: int
    difference: float
    files: tuple[str, ...]
    command: str = "deploy"
    schema_version: int = 1
