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


class DeployedProgram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One program on a device: its versions, oldest first, and the current one, empty if there is none."""

    name: str
    current: str
    versions: tuple[str, ...]


class DeployedReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Programs on a device after `deploy --to`; `done` is what was changed, empty for a list."""

    device: str
    done: str
    programs: tuple[DeployedProgram, ...]
    command: str = "deploy"
    schema_version: int = 1
