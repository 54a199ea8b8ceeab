"""The second form: the lines of gates, by project."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer, Text, UniqueConstraint

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "lines",
        Column("id", Integer, primary_key=True),
        Column("digest", Text, nullable=False),
        UniqueConstraint("digest", name="uq_lines_digest"),
        Column("project", Text, nullable=False),
        Column("content", Text, nullable=False),
    )
    op.create_index("ix_lines_project_id", "lines", ["project", "id"])
