"""Runs as the store of runs gives them back, and the documents of the commands of `edgekit history` that use it."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.reports.check import CHECK_SCHEMA, CheckReport
from edgekit.core.reports.comparison import COMPARISON_SCHEMA, ComparisonReport
from edgekit.core.reports.report import REPORT_SCHEMA, Report
from edgekit.core.reports.sweep import SWEEP_SCHEMA, SweepReport
from edgekit.core.reports.tuning import TUNE_REPORT_SCHEMA, TuneReport
from edgekit.core.system.documents import BROKEN_JSON, Document, decode
from edgekit.core.system.native.types import prepared
from edgekit.core.verdict import Verdict

# 1: first version. 2: sweeps.
KEPT_SCHEMA: Final = 2

Keepable = Report | CheckReport | ComparisonReport | SweepReport | TuneReport
"""What is kept of a run."""

# By the command in it; every other one is a `Report`.
_FORMS: Final[dict[str, tuple[type[Keepable], int]]] = {
    "check": (CheckReport, CHECK_SCHEMA),
    "compare": (ComparisonReport, COMPARISON_SCHEMA),
    "sweep": (SweepReport, SWEEP_SCHEMA),
    "tune": (TuneReport, TUNE_REPORT_SCHEMA),
}


class _Command(msgspec.Struct):
    command: str = ""


def decode_kept(data: bytes, what: str) -> Keepable:
    """The report in `data`, whichever command made it.

    Raises:
        Unreadable: It is none, it is damaged, or its schema is newer.
    """
    try:
        command = msgspec.json.decode(data, type=prepared(_Command)).command
    except BROKEN_JSON:
        command = ""  # what is wrong with it is told below
    form, newest = _FORMS.get(command, (Report, REPORT_SCHEMA))
    return decode(data, form, what=what, newest=newest)


class KeptLatency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one artifact took on one device in a run, in seconds; `memory` in bytes. Null is what was not measured."""

    model: str
    artifact: str
    target: str
    sizes: dict[str, int]
    engine: str
    provider: str
    p50: float | None
    p50_low: float | None
    p50_high: float | None
    p90: float | None
    load: float | None
    first_run: float | None
    memory: float | None
    trust: str
    launch_medians: tuple[float, ...]


class KeptVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One check of a run, in SI units.

    `kind` is `outcome` for the verdict on a target, `comparison` for a ratio B/A, or the kind of a check: `budget`,
    `baseline`, `history`, `parity`, `device`.
    """

    kind: str
    name: str
    artifact: str
    target: str
    value: float | None
    bound: float | None
    verdict: Verdict


class KeptRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run. `number` is its own in this store; `has_report` is whether its raw values are still kept.

    `model` is empty for several models; `subject` is what the command was given: a bundle, two files, a configuration.
    `branch` is empty where none is known.
    """

    number: int
    created: str
    command: str
    model: str
    subject: str
    commit: str
    branch: str
    verdict: Verdict
    edgekit: str
    has_report: bool
    latency: tuple[KeptLatency, ...] = ()
    verdicts: tuple[KeptVerdict, ...] = ()


class RunsReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Runs of a store, newest first; `total` is the number of all that fit the question."""

    store: str
    runs: tuple[KeptRun, ...]
    total: int
    command: str = "history list"
    schema_version: int = KEPT_SCHEMA


class KeptRunReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run of a store; the report that was kept is in the field of its kind, unless it was removed."""

    store: str
    run: KeptRun
    report: Report | None = None
    check: CheckReport | None = None
    comparison: ComparisonReport | None = None
    tuning: TuneReport | None = None
    sweep: SweepReport | None = None
    command: str = "history show"
    schema_version: int = KEPT_SCHEMA


class ImportReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `history import` did: the numbers of new runs, how many were there before, and the new lines of checks."""

    store: str
    added: tuple[int, ...]
    known: int
    lines: int = 0
    command: str = "history import"
    schema_version: int = KEPT_SCHEMA


class ExportReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `history export` wrote: the number of runs in the file."""

    store: str
    file: str
    runs: int
    command: str = "history export"
    schema_version: int = KEPT_SCHEMA


class PruneReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `history prune` removed: whole reports, and their size in the store; their figures stay."""

    store: str
    removed: int
    size_bytes: int
    left: int
    command: str = "history prune"
    schema_version: int = KEPT_SCHEMA
