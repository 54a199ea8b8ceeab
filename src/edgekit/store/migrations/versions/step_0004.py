"""Runs and measurements have a branch, and runs of `check` the commit that their report names."""

from __future__ import annotations

import zlib
from typing import Final

import msgspec
from alembic import op
from sqlalchemy import Column, Text, column, select, table, update

from edgekit.core.system.native.types import prepared

revision = "0004"
down_revision = "0003"

_RUNS: Final = table("runs", column("id"), column("command"), column("commit_id"))
_DOCUMENTS: Final = table("documents", column("run_id"), column("content"))


class _Named(msgspec.Struct):
    commit: str = ""


def upgrade() -> None:
    """Add the columns and their indexes, and fill in the commits."""
    for name in ("runs", "measurements"):
        op.add_column(name, Column("branch", Text, nullable=False, server_default=""))
    op.create_index("ix_runs_branch_created", "runs", ["branch", "created"])
    key = ["model_id", "target", "artifact", "branch", "created"]
    op.create_index(f"ix_measurements_{'_'.join(key)}", "measurements", key)
    _fill_commits()


def _fill_commits() -> None:
    connection = op.get_bind()
    wanted = select(_RUNS.c.id).where(_RUNS.c.command == "check", _RUNS.c.commit_id == "")
    for number in connection.scalars(wanted).all():
        content = connection.scalar(select(_DOCUMENTS.c.content).where(_DOCUMENTS.c.run_id == number))
        if commit := _commit(content):
            connection.execute(update(_RUNS).where(_RUNS.c.id == number).values(commit_id=commit))


def _commit(content: bytes | None) -> str:
    """The commit in a report; empty if it was removed or is damaged, which is no reason to refuse the whole store."""
    try:
        return msgspec.json.decode(zlib.decompress(content or b""), type=prepared(_Named)).commit.replace("\0", "")
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError):
        return ""
