"""The documents of the pages of `edgekit serve`, and what the command itself prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from edgekit.core.reports.kept import KeptRun
from edgekit.core.reports.report import Estimate
from edgekit.core.system.documents import Document
from edgekit.core.verdict import Verdict

# 1: first version. 2: the backend version of a pair, and as a filter.
PAGES_SCHEMA: Final = 2


class ServeReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the pages of a store are served."""

    store: str
    url: str
    command: str = "serve"
    schema_version: int = PAGES_SCHEMA


class SeriesPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measurement of a series, in seconds and bytes, with the run that it is from.

    `verdict` is that of the run on this target where it has one of its own; null if the run judged nothing.
    """

    run: int
    created: str
    command: str
    commit: str
    branch: str
    verdict: Verdict | None
    sizes: dict[str, int]
    engine: str
    latency: Estimate
    p90: float | None
    memory: float | None
    trust: str


class KeptSeries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured of one artifact of one model on one target, oldest first."""

    model: str
    target: str
    artifact: str
    points: tuple[SeriesPoint, ...]

    def courses(self) -> tuple[tuple[SeriesPoint, ...], ...]:
        """The points of each size of the inputs: medians at different sizes are not one course.

        Where one run measured several backend versions at a size, each version is a course of its own there. Otherwise
        a course continues through an upgrade, because its step is what is looked for.
        """
        found: dict[tuple[tuple[str, int], ...], list[SeriesPoint]] = {}
        for one in self.points:
            found.setdefault(tuple(sorted(one.sizes.items())), []).append(one)
        return tuple(course for points in found.values() for course in _by_version(points))


def _by_version(points: Sequence[SeriesPoint]) -> list[tuple[SeriesPoint, ...]]:
    runs = {(one.run, one.engine) for one in points}
    if len(runs) == len({run for run, _ in runs}):
        return [tuple(points)]
    engines = dict.fromkeys(one.engine for one in points)
    return [tuple(one for one in points if one.engine == engine) for engine in engines]


class PageFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model, target, artifact, branch and backend version (`library`) a page shows; an empty text shows all."""

    model: str = ""
    target: str = ""
    artifact: str = ""
    branch: str = ""
    library: str = ""


class SeriesReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Series that fit a filter; `total` is the number of all that fit.

    The overview has the newest measurement of each series, the page of trends and `history plot` the newest ones.
    """

    store: str
    shown: PageFilter
    series: tuple[KeptSeries, ...]
    total: int
    page: int
    command: str = "serve"
    schema_version: int = PAGES_SCHEMA


class RunPageReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Runs that fit a filter, newest first; `older` is where the next page begins, empty on the last one."""

    store: str
    shown: PageFilter
    runs: tuple[KeptRun, ...]
    older: str
    command: str = "serve"
    schema_version: int = PAGES_SCHEMA


class RunPair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same artifact on the same target in two runs: medians in seconds, and their ratio B/A with its interval.

    `says` is `slower`, `faster`, `equal` or `inconclusive`; it is empty where a run has fewer than two launches.
    `engine` is empty unless one of the runs measured several backend versions.
    """

    model: str
    target: str
    artifact: str
    sizes: dict[str, int]
    a: Estimate
    b: Estimate
    ratio: Estimate
    says: str
    engine: str = ""


class RunPairsReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two runs, what both measured, and the number of measurements that only one of them has."""

    store: str
    a: KeptRun
    b: KeptRun
    pairs: tuple[RunPair, ...]
    only_a: int
    only_b: int
    command: str = "serve"
    schema_version: int = PAGES_SCHEMA


class KeptDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device as its facts describe it, the target that it was last used as, and the newest run on it."""

    number: int
    target: str
    architecture: str
    cpu: str
    cores: int | None
    memory_mib: int | None
    system: str
    is_emulated: bool
    engines: dict[str, str]
    trust: str
    last_seen: str
    run: int


class KeptDevicesReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every device, the one that was used last first."""

    store: str
    devices: tuple[KeptDevice, ...]
    command: str = "serve"
    schema_version: int = PAGES_SCHEMA
