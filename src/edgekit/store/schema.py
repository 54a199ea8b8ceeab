"""The tables of the store. Times are UTC texts of ISO 8601, which sort as they passed; durations are in seconds.

Statistics are in columns that are searched and drawn. The whole report is stored as well, compressed, and may be
removed on its own.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

# Deterministic names, by which a later migration finds what it changes, on SQLite as on PostgreSQL.
METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

MODELS: Final = Table(
    "models",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Index(None, "name"),
)

DEVICES: Final = Table(
    "devices",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("architecture", Text, nullable=False),
    Column("cpu", Text),
    Column("cores", Integer),
    Column("memory_mib", Integer),
    Column("system", Text, nullable=False),
    Column("emulated", Boolean, nullable=False),
    Column("engines", JSON, nullable=False),
)

ARTIFACTS: Final = Table(
    "artifacts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("format", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

RUNS: Final = Table(
    "runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("created", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("model_id", ForeignKey("models.id")),
    Column("commit_id", Text, nullable=False),
    Column("branch", Text, nullable=False, server_default=""),
    Column("verdict", Text, nullable=False),
    Column("edgekit", Text, nullable=False),
    Index(None, "created"),
    Index(None, "model_id", "created"),
    Index(None, "branch", "created"),
)

MEASUREMENTS: Final = Table(
    "measurements",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("model_id", ForeignKey("models.id")),
    Column("artifact_id", ForeignKey("artifacts.id")),
    Column("device_id", ForeignKey("devices.id")),
    # Those of the run, here as well: the newest row of a series is then found through an index.
    Column("created", Text, nullable=False, server_default=""),
    Column("branch", Text, nullable=False, server_default=""),
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
    Index(None, "run_id"),
    Index(None, "target", "artifact", "run_id"),
    Index(None, "model_id", "run_id"),
    Index(None, "model_id", "target", "artifact", "created"),
    Index(None, "model_id", "target", "artifact", "branch", "created"),
    Index(None, "model_id", "target", "artifact", "engine", "created"),
    Index(None, "engine", "created"),
    Index(None, "model_id", "created"),
    Index(None, "target", "created"),
    Index(None, "artifact", "created"),
    Index(None, "device_id", "created"),
)

VERDICTS: Final = Table(
    "verdicts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("value", Float),
    Column("bound", Float),
    Column("verdict", Text, nullable=False),
    Index(None, "run_id"),
)

# The whole report, compressed: all raw values of a run, which retention removes first.
DOCUMENTS: Final = Table(
    "documents",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# The lines of gates as `edgekit check` writes them: JSON, in the order in which they were added.
LINES: Final = Table(
    "lines",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("project", Text, nullable=False),
    Column("content", Text, nullable=False),
    Index(None, "project", "id"),
)
