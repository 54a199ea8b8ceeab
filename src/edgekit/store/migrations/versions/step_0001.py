"""The first form: runs, models, artifacts, devices, measurements, verdicts and whole reports."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, those first that others point to."""
    _make_what_is_run()
    _make_runs()
    _make_measurements()
    _make_verdicts_and_documents()


def _make_what_is_run() -> None:
    op.create_table(
        "models",
        Column("id", Integer, primary_key=True),
        Column("digest", Text, nullable=False),
        UniqueConstraint("digest", name="uq_models_digest"),
        Column("name", Text, nullable=False),
    )
    op.create_index("ix_models_name", "models", ["name"])
    op.create_table(
        "devices",
        Column("id", Integer, primary_key=True),
        Column("digest", Text, nullable=False),
        UniqueConstraint("digest", name="uq_devices_digest"),
        Column("architecture", Text, nullable=False),
        Column("cpu", Text),
        Column("cores", Integer),
        Column("memory_mib", Integer),
        Column("system", Text, nullable=False),
        Column("emulated", Boolean, nullable=False),
        Column("engines", JSON, nullable=False),
    )
    op.create_table(
        "artifacts",
        Column("id", Integer, primary_key=True),
        Column("digest", Text, nullable=False),
        UniqueConstraint("digest", name="uq_artifacts_digest"),
        Column("format", Text, nullable=False),
        Column("precision", Text, nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
    )


def _make_runs() -> None:
    op.create_table(
        "runs",
        Column("id", Integer, primary_key=True),
        Column("digest", Text, nullable=False),
        UniqueConstraint("digest", name="uq_runs_digest"),
        Column("created", Text, nullable=False),
        Column("command", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("model_id", Integer),
        ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_runs_model_id"),
        Column("commit_id", Text, nullable=False),
        Column("verdict", Text, nullable=False),
        Column("edgekit", Text, nullable=False),
    )
    op.create_index("ix_runs_created", "runs", ["created"])
    op.create_index("ix_runs_model_id_created", "runs", ["model_id", "created"])


def _make_measurements() -> None:
    op.create_table(
        "measurements",
        Column("id", Integer, primary_key=True),
        Column("run_id", Integer, nullable=False),
        ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE", name="fk_measurements_run_id"),
        Column("model_id", Integer),
        ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_measurements_model_id"),
        Column("artifact_id", Integer),
        ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], name="fk_measurements_artifact_id"),
        Column("device_id", Integer),
        ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_measurements_device_id"),
        Column("artifact", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("sizes", JSON, nullable=False),
        Column("engine", Text, nullable=False),
        Column("provider", Text, nullable=False),
        Column("p50", Float),
        Column("p50_low", Float),
        Column("p50_high", Float),
        Column("p90", Float),
        Column("load", Float),
        Column("first_run", Float),
        Column("memory", Float),
        Column("trust", Text, nullable=False),
        Column("launch_medians", JSON, nullable=False),
    )
    op.create_index("ix_measurements_run_id", "measurements", ["run_id"])
    op.create_index("ix_measurements_model_id_run_id", "measurements", ["model_id", "run_id"])
    op.create_index("ix_measurements_target_artifact_run_id", "measurements", ["target", "artifact", "run_id"])


def _make_verdicts_and_documents() -> None:
    op.create_table(
        "verdicts",
        Column("id", Integer, primary_key=True),
        Column("run_id", Integer, nullable=False),
        ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE", name="fk_verdicts_run_id"),
        Column("kind", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("artifact", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("value", Float),
        Column("bound", Float),
        Column("verdict", Text, nullable=False),
    )
    op.create_index("ix_verdicts_run_id", "verdicts", ["run_id"])
    op.create_table(
        "documents",
        Column("run_id", Integer, primary_key=True),
        ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE", name="fk_documents_run_id"),
        Column("content", LargeBinary, nullable=False),
    )
