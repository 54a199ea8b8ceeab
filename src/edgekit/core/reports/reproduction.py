"""Reproduction: what a reader needs to run a command again."""

from __future__ import annotations

import shlex

import msgspec


class Reproduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The command line of a document, and where it ran.

    `arguments` are those after `edgekit`; empty for a call from Python. `commit` is that of the repository around the
    working folder, or around the configuration of a check, and `branch` the branch of it; both are empty where unknown.
    `is_dirty` says that files of it were changed, null if unknown. `environment` are the system, the processor, and the
    variables that can change a result, by name.
    """

    arguments: tuple[str, ...] = ()
    commit: str = ""
    branch: str = ""
    is_dirty: bool | None = None
    environment: dict[str, str] = {}

    @property
    def line(self) -> str:
        """The command line, quoted for a POSIX shell; empty for a call from Python."""
        return shlex.join(("edgekit", *self.arguments)) if self.arguments else ""
