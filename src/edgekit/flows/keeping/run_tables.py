"""Runs of the store as files for other programs: a table with a row for each measurement, or one JSON document."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit.core.errors import UserError
from edgekit.core.reports.kept import KeptLatency, KeptRun, RunsReport
from edgekit.core.system import documents
from edgekit.core.system.files import write_atomic
from edgekit.core.system.optional import need

_OF_RUN: Final = ("number", "created", "command", "subject", "commit", "branch", "verdict", "edgekit")
_OF_LATENCY: Final = tuple(name for name in KeptLatency.__struct_fields__ if name != "model")
_COLUMNS: Final = (*_OF_RUN, "model", *_OF_LATENCY)
_FLOATS: Final = ("p50", "p50_low", "p50_high", "p90", "load", "first_run", "memory")
# What a spreadsheet takes for a formula at the beginning of a text.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_runs(file: Path, store: str, runs: Sequence[KeptRun]) -> None:
    """Write runs in the form that the suffix of `file` selects, completely or not at all.

    Raises:
        UserError: No form has this suffix; the message lists the known ones.
        MissingExtra: .parquet without pyarrow.
        EnvironmentFault: The file cannot be written.
    """
    form = _FORMS.get(file.suffix.lower())
    if form is None:
        raise UserError(
            f"'{file.name}' does not end in {', '.join(_FORMS)}.", hint=f"edgekit history export {file}.csv"
        )
    write_atomic(file, form(store, runs))


def _json(store: str, runs: Sequence[KeptRun]) -> bytes:
    return documents.encode(RunsReport(store=store, runs=tuple(runs), total=len(runs), command="history export"))


def _csv(_: str, runs: Sequence[KeptRun]) -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in _rows(runs))
    return text.getvalue().encode()


def _parquet(_: str, runs: Sequence[KeptRun]) -> bytes:
    arrow, parquet = need("pyarrow", extra="datasets"), need("pyarrow.parquet", extra="datasets")
    kinds = {"number": arrow.int64(), **dict.fromkeys(_FLOATS, arrow.float64())}
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in _COLUMNS])
    stream = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(list(_rows(runs)), schema=schema), stream)
    return stream.getvalue()


_FORMS: Final[dict[str, Callable[[str, Sequence[KeptRun]], bytes]]] = {
    ".csv": _csv,
    ".json": _json,
    ".parquet": _parquet,
}


def _rows(runs: Sequence[KeptRun]) -> Iterator[dict[str, Any]]:
    """A row for each measurement, and one for a run without any; lists and sizes are JSON."""
    for run in runs:
        of_run = {name: getattr(run, name) for name in _OF_RUN} | {"verdict": run.verdict.value}
        for one in run.latency or (None,):
            of_latency = dict.fromkeys(_OF_LATENCY) if one is None else msgspec.structs.asdict(one)
            lists = {} if one is None else {name: json.dumps(of_latency[name]) for name in ("sizes", "launch_medians")}
            yield of_run | of_latency | lists | {"model": (one.model if one else "") or run.model}


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
