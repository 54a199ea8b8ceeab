"""The document of `edgekit doctor`: what it found on this machine, and the commands that fix it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from edgekit.core.errors import EnvironmentFault
from edgekit.core.system.documents import Document

# 1: first version. 2: what `--clean` removed and left.
DOCTOR_SCHEMA: Final = 2


class State(StrEnum):
    """Ok, warning, or a problem that prevents work."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One finding; the last field is the command that fixes it, or empty."""

    name: str
    state: State
    text: str
    mend: str = ""


class DoctorReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All findings, in order.

    `removed` are the files and folders of killed processes that `--clean` removed, `left` those that it did not, since
    their processes may run on another machine, in another container or as another user.
    """

    findings: tuple[Finding, ...]
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    command: str = "doctor"
    schema_version: int = DOCTOR_SCHEMA

    @property
    def exit_code(self) -> int:
        """That of `EnvironmentFault` if there is a problem, else 0."""
        return EnvironmentFault.exit_code if any(one.state is State.PROBLEM for one in self.findings) else 0
