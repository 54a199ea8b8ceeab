"""The document of `edgekit doctor`: what was found on this machine, and the commands that repair it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from edgekit.core.errors import EnvironmentFault

# 1: first version.
DOCTOR_SCHEMA: Final = 1


class State(StrEnum):
    """Ok, worth knowing, or in the way."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that was looked at; `mend` is the command that changes it, or empty."""

    name: str
    state: State
    text: str
    mend: str = ""


class DoctorReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All findings, in the order they were made."""

    findings: tuple[Finding, ...]
    command: str = "doctor"
    schema_version: int = DOCTOR_SCHEMA

    @property
    def exit_code(self) -> int:
        """That of `EnvironmentFault` when something is in the way, else 0."""
        return EnvironmentFault.exit_code if any(one.state is State.PROBLEM for one in self.findings) else 0
