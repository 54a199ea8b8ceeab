"""Keeps reports in the store. The same report is kept once."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from edgekit.core.bundle import Artifact
from edgekit.core.facts import Facts
from edgekit.core.reports.check import CheckReport
from edgekit.core.reports.kept import Keepable
from edgekit.core.system.documents import canonical, encode
from edgekit.core.system.files import sha256_bytes
from edgekit.core.system.version import VERSION
from edgekit.store.database import Store
from edgekit.store.figures import KeptFigures, Latencies, figures_of
from edgekit.store.schema import ARTIFACTS, DEVICES, DOCUMENTS, MEASUREMENTS, MODELS, RUNS, VERDICTS

# Facts that stay as they are from run to run, so that the runs of one device are found.
_LASTING = ("architecture", "cpu", "cores", "system", "emulated", "engines")
_MIB = 2**20


def record(store: Store, kept: Keepable) -> tuple[int, bool]:
    """Keep a report: the number of its run, and whether it is new.

    Raises:
        EnvironmentFault, Unreadable: As in `open_store`; nothing of the report is then kept.
    """
    content, found = encode(kept), figures_of(kept)
    values: dict[str, Any] = {
        "digest": _digest(_essence(msgspec.to_builtins(kept))),
        "created": kept.created,
        "command": kept.command,
        "subject": found.subject,
        "commit_id": _commit(kept),
        "branch": kept.reproduction.branch if kept.reproduction else "",
        "verdict": kept.verdict.value,
        "edgekit": kept.tools.get("edgekit", VERSION),
    }
    with store.writing() as connection:
        models = _models(connection, found)
        values["model_id"] = next(iter(models.values())) if len(models) == 1 else None
        number, is_new = add_row(connection, RUNS, values)
        if is_new:
            connection.execute(insert(DOCUMENTS).values(run_id=number, content=zlib.compress(content)))
            of_run = {"run_id": number, "created": kept.created, "branch": values["branch"]}
            _keep_latency(connection, of_run, found, models)
            _insert(connection, VERDICTS, ({"run_id": number, **row} for row in found.verdicts))
    return number, is_new


def _commit(kept: Keepable) -> str:
    """The commit that was measured: that of a check is the one around its configuration, wherever it was started."""
    if isinstance(kept, CheckReport) and kept.commit:
        return kept.commit
    return kept.reproduction.commit if kept.reproduction else ""


def _essence(value: Any) -> Any:
    """What stays of a report when a later edgekit reads it: new fields come with empty values and a new schema."""
    if not isinstance(value, dict):
        return [_essence(one) for one in value] if isinstance(value, list | tuple) else value
    parts = {name: _essence(one) for name, one in value.items() if name != "schema_version"}
    return {name: one for name, one in parts.items() if one}


def _models(connection: Connection, found: KeptFigures) -> dict[str, int]:
    """The numbers of the models by their digest."""
    specs = {_digest(one.spec): one.spec.name for one in found.latency if one.spec}
    # Always in one order: two commands that add the same rows in different orders would wait for each other.
    return {one: add_row(connection, MODELS, {"digest": one, "name": specs[one]})[0] for one in sorted(specs)}


def _keep_latency(
    connection: Connection, run: Mapping[str, Any], found: KeptFigures, models: Mapping[str, int]
) -> None:
    artifacts, devices = _artifacts(connection, found.latency), _devices(connection, found.latency)
    for group in found.latency:
        model = models.get(_digest(group.spec)) if group.spec else None
        _insert(
            connection,
            MEASUREMENTS,
            (
                {
                    **run,
                    "model_id": model,
                    "artifact_id": artifacts.get(_file_of(group, row)),
                    "device_id": devices.get(_device_of(group, row)),
                    **row,
                }
                for row in group.rows
            ),
        )


def _file_of(group: Latencies, row: Mapping[str, Any]) -> str:
    return next((one.sha256 for one in group.artifacts if one.recipe == row["artifact"]), "")


def _device_of(group: Latencies, row: Mapping[str, Any]) -> str:
    facts = group.facts.get(row["target"])
    return _digest(_lasting(facts)) if facts else ""


def _artifacts(connection: Connection, groups: Iterable[Latencies]) -> dict[str, int]:
    made = {one.sha256: one for group in groups for one in group.artifacts}
    return {digest: add_row(connection, ARTIFACTS, _artifact(made[digest]))[0] for digest in sorted(made)}


def _artifact(one: Artifact) -> dict[str, Any]:
    return {"digest": one.sha256, "format": one.format, "precision": one.precision, "size_bytes": one.size_bytes}


def _devices(connection: Connection, groups: Iterable[Latencies]) -> dict[str, int]:
    found = {_digest(_lasting(facts)): facts for group in groups for facts in group.facts.values()}
    return {one: add_row(connection, DEVICES, {"digest": one, **_device(found[one])})[0] for one in sorted(found)}


def _device(facts: Facts) -> dict[str, Any]:
    memory = None if facts.memory_bytes is None else facts.memory_bytes // _MIB
    return {"memory_mib": memory, **_lasting(facts)}


def _lasting(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in _LASTING}


def _digest(content: object) -> str:
    return sha256_bytes(canonical(content))


def add_row(connection: Connection, table: Table, values: Mapping[str, Any]) -> tuple[int, bool]:
    """The number of the row with this digest, and whether it was added because it was missing."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    wanted = dialect.insert(table).values(**_storable(values)).on_conflict_do_nothing(index_elements=["digest"])
    added = connection.scalar(wanted.returning(table.c.id))
    if added is not None:
        return int(added), True
    return int(connection.execute(select(table.c.id).where(table.c.digest == values["digest"])).scalar_one()), False


def _insert(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    if found := [_storable(row) for row in rows]:
        connection.execute(insert(table), found)


def _storable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The values without NUL, which PostgreSQL does not store in a text."""
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in row.items()}
