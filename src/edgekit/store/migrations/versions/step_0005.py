"""Measurements are found by their backend version."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the indexes."""
    for key in (["engine", "created"], ["model_id", "target", "artifact", "engine", "created"]):
        op.create_index(f"ix_measurements_{'_'.join(key)}", "measurements", key)
