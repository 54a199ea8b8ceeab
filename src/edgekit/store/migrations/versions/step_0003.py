"""Measurements have the time of their run, and indexes for the newest ones of a model, target, artifact or device."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column, fill it, and make the indexes."""
    op.add_column("measurements", Column("created", Text, nullable=False, server_default=""))
    op.execute("UPDATE measurements SET created = (SELECT runs.created FROM runs WHERE runs.id = measurements.run_id)")
    for columns in (
        ["model_id", "target", "artifact", "created"],
        ["model_id", "created"],
        ["target", "created"],
        ["artifact", "created"],
        ["device_id", "created"],
    ):
        op.create_index(f"ix_measurements_{'_'.join(columns)}", "measurements", columns)
