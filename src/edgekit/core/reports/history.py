"""The lines of a history file, and the documents of `edgekit history`."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.system.documents import Document
from edgekit.core.verdict import Verdict

# 1: first version. 2: runs contain the sizes of every series. 3: runs name the series that left their level.
HISTORY_SCHEMA: Final = 3


class Run(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="run"):
    """One run of `edgekit check`: the median latency of every series in seconds, and the inconclusive checks.

    `sizes` are those of the dynamic axes of a series, at which its latency was measured. `outside` are the series that
    were slower than their level or their baseline: these values move no level until they are accepted.
    """

    created: str
    commit: str
    verdict: Verdict
    values: dict[str, float]
    checks: tuple[str, ...] = ()
    inconclusive: tuple[str, ...] = ()
    sizes: dict[str, dict[str, int]] = {}
    outside: tuple[str, ...] = ()
    schema_version: int = HISTORY_SCHEMA


class Accepted(
    Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="accepted"
):
    """A new level that was accepted, and why: names of models, and the baseline files that were replaced."""

    created: str
    commit: str
    why: str
    models: tuple[str, ...]
    baselines: tuple[str, ...] = ()
    schema_version: int = HISTORY_SCHEMA


Line = Run | Accepted


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value of a series, in seconds, with where it came from; `sizes` is null if the run did not record them.

    `outside` is true if the series had left its level, so that the value does not count for it.
    """

    value: float
    created: str
    commit: str
    sizes: dict[str, int] | None = None
    outside: bool = False


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A regression of a series: the first slow run, the run before, and by how much, 0.05 for 5 %."""

    since: Point
    before: Point
    size: float


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One series since it was last accepted: its last value and the level of the runs before, in seconds.

    `level` is null with fewer than 5 earlier values, `slower` if no step upwards exceeds the noise. `red_since` is the
    first of the runs outside of the level, up to the last one, and null if the last one is within it.
    """

    name: str
    runs: int
    last: Point
    level: float | None
    slower: Step | None = None
    red_since: Point | None = None


class HistoryReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every series of a history."""

    file: str
    series: tuple[Series, ...]
    accepted: tuple[Accepted, ...]
    command: str
    schema_version: int = HISTORY_SCHEMA


class AcceptReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was accepted."""

    file: str
    accepted: Accepted
    command: str = "history accept"
    schema_version: int = HISTORY_SCHEMA
