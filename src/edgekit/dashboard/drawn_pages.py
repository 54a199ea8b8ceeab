"""The pages: what each document becomes for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from edgekit.core.reports.kept import KeptLatency, KeptRun, KeptRunReport, KeptVerdict
from edgekit.core.reports.kept_pages import (
    KeptDevice,
    KeptDevicesReport,
    KeptSeries,
    PageFilter,
    RunPageReport,
    RunPair,
    RunPairsReport,
    SeriesPoint,
    SeriesReport,
)
from edgekit.core.reports.report import Estimate
from edgekit.core.units import ABSENT, format_value
from edgekit.core.verdict import Verdict
from edgekit.dashboard.page_frames import Names, address, choices, render
from edgekit.report import comparison, formatting
from edgekit.report.pages.grids import Column, GridCell, grid
from edgekit.report.pages.page import WORDS, marked, signed
from edgekit.report.plots.interval_rows import IntervalAxis, IntervalRow, draw
from edgekit.report.plots.latency import Picture
from edgekit.report.plots.trend import courses, trend

_COMMIT: Final = 10
_MIB: Final = 2**20
_TABLE: Final = 15
_MARKS: Final = {"slower": Verdict.FAIL, "inconclusive": Verdict.INCONCLUSIVE}
_OVERVIEW: Final = (
    Column("model"),
    *(Column(title, is_text=True) for title in ("target", "artifact", "verdict")),
    *(Column(title) for title in ("p50", "p90", "memory")),
    *(Column(title, is_text=True) for title in ("trust", "when", "commit", "run")),
)
_POINTS: Final = (
    Column("run"),
    Column("when", is_text=True),
    Column("verdict", is_text=True),
    *(Column(title) for title in ("p50", "p90", "memory")),
    *(Column(title, is_text=True) for title in ("trust", "commit", "library")),
)
_RUNS: Final = (
    Column("run"),
    *(Column(title, is_text=True) for title in ("when", "command", "model", "fastest", "verdict", "commit")),
)
_LATENCY: Final = (
    Column("artifact"),
    *(Column(title, is_text=True) for title in ("model", "target")),
    *(Column(title) for title in ("p50", "p90", "load time", "first run", "memory")),
    *(Column(title, is_text=True) for title in ("trust", "library")),
)
_VERDICTS: Final = (
    Column("check"),
    *(Column(title, is_text=True) for title in ("verdict", "kind", "artifact", "target")),
)
_PAIRS: Final = (
    Column("artifact"),
    *(Column(title, is_text=True) for title in ("model", "target")),
    *(Column(title) for title in ("A median", "B median", "change")),
    Column("B is", is_text=True),
)
_DEVICES: Final = (
    Column("target"),
    *(Column(title, is_text=True) for title in ("processor", "architecture")),
    *(Column(title) for title in ("cores", "memory")),
    *(Column(title, is_text=True) for title in ("system", "libraries", "trust", "last seen", "run")),
)


def overview(document: SeriesReport, names: Names, most: int) -> str:
    """The newest measurement of each series."""
    rows = [_newest(one, document.shown) for one in document.series]
    return render(
        "overview.html",
        "Overview",
        here="/",
        table=grid("newest measurements", _OVERVIEW, rows) if rows else None,
        **_filtered("/", document, names, most),
    )


def trends(document: SeriesReport, names: Names, most: int) -> str:
    """A picture of each series, and its newest runs as a table."""
    drawn = [one for number, series in enumerate(document.series) for one in _drawn(series, f"trend-{number}")]
    return render("trends.html", "Trends", here="/trends", drawn=drawn, **_filtered("/trends", document, names, most))


def runs(document: RunPageReport, names: Names) -> str:
    """Runs, newest first, and a form that compares two of them."""
    shown = document.shown
    asked = msgspec.structs.asdict(shown)
    rows = [_listed(one) for one in document.runs]
    return render(
        "runs.html",
        "Runs",
        here="/runs",
        store=document.store,
        table=grid("runs", _RUNS, rows) if rows else None,
        choices=choices(shown, names),
        older=address("/runs", **asked, before=document.older) if document.older else "",
        newest=[one.number for one in document.runs[:2]],
        json=address("/runs", **asked, format="json"),
    )


def run(document: KeptRunReport) -> str:
    """What one run measured and judged, as it is in the columns of the store."""
    found = document.run
    facts = [
        ("when", found.created[:19].replace("T", " ")),
        ("command", found.command),
        ("subject", found.subject),
        ("commit", found.commit),
        ("branch", found.branch),
        ("edgekit", found.edgekit),
    ]
    return render(
        "run.html",
        f"Run {found.number}",
        here="/runs",
        run=found,
        name=found.model or found.subject,
        verdict=_verdict(found),
        facts=[pair for pair in facts if pair[1]],
        latency=grid("latencies", _LATENCY, map(_measured, found.latency)) if found.latency else None,
        verdicts=grid("checks", _VERDICTS, map(_judged, found.verdicts)) if found.verdicts else None,
        json=f"/runs/{found.number}?format=json",
    )


def compare(document: RunPairsReport) -> str:
    """Two runs side by side."""
    a, b = document.a.number, document.b.number
    return render(
        "run_pairs.html",
        f"Run {b} against run {a}",
        here="/runs",
        sides=[("A", document.a, _verdict(document.a)), ("B", document.b, _verdict(document.b))],
        table=grid("pairs", _PAIRS, map(_pair, document.pairs)) if document.pairs else None,
        picture=_changes(document.pairs),
        only=[(name, count) for name, count in (("A", document.only_a), ("B", document.only_b)) if count],
        swapped=address("/compare", a=b, b=a),
        json=address("/compare", a=a, b=b, format="json"),
    )


def devices(document: KeptDevicesReport) -> str:
    """Every device with its facts."""
    rows = [_device(one) for one in document.devices]
    table = grid("devices", _DEVICES, rows) if rows else None
    return render("devices_seen.html", "Devices", here="/devices", table=table, json="/devices?format=json")


def error(message: str, hint: str) -> str:
    """Why there is no such page."""
    return render("error.html", "Not shown", message=message, hint=hint)


def _filtered(path: str, document: SeriesReport, names: Names, most: int) -> dict[str, Any]:
    """What the filter and the links to other pages of one list need."""
    shown, page = document.shown, document.page
    asked = msgspec.structs.asdict(shown)
    return {
        "store": document.store,
        "total": document.total,
        "count": len(document.series),
        "choices": choices(shown, names),
        "before": address(path, **asked, page=page - 1 if page > 2 else "") if page > 1 else "",
        "after": address(path, **asked, page=page + 1) if page * most < document.total else "",
        "json": address(path, **asked, page=page if page > 1 else "", format="json"),
    }


def _newest(one: KeptSeries, shown: PageFilter) -> tuple[GridCell, ...]:
    point = one.points[-1]
    more = {"branch": shown.branch, "library": shown.library}
    place = address("/trends", model=one.model, target=one.target, artifact=one.artifact, **more)
    return (
        GridCell(one.model or ABSENT, link=place),
        GridCell(one.target, under=point.engine, is_code=True),
        GridCell(one.artifact, under=formatting.sizes(point.sizes), is_code=True),
        *_figures(point),
        GridCell(point.trust or ABSENT),
        GridCell(_when(point.created)),
        GridCell(point.commit[:_COMMIT] or ABSENT, under=point.branch, is_code=True),
        GridCell(str(point.run), link=f"/runs/{point.run}"),
    )


def _figures(point: SeriesPoint) -> tuple[GridCell, ...]:
    word = WORDS[point.verdict] if point.verdict else "measured"
    return (
        GridCell(word, verdict=point.verdict),
        GridCell(formatting.quantity(point.latency, "s"), under=formatting.interval(point.latency, "s")),
        GridCell(format_value(point.p90, "s")),
        GridCell(format_value(point.memory, "bytes")),
    )


def _drawn(one: KeptSeries, key: str) -> Iterator[dict[str, Any]]:
    """A picture and a table for each size."""
    for number, (title, points) in enumerate(courses(one)):
        timed = sum(point.latency.value is not None for point in points)
        markup = trend(points, title, f"{key}-{number}", is_linked=True) if timed else ""
        newest = [_point(point) for point in points[::-1][:_TABLE]]
        runs = [point.run for point in points[-2:]]
        yield {
            "title": title,
            "picture": marked(Picture("", f"{formatting.plural(timed, 'run')}, oldest first", markup)),
            "is_timed": timed > 0,
            "table": grid(f"newest runs of {title}", _POINTS, newest),
            "compare": address("/compare", a=runs[0], b=runs[1]) if len(runs) > 1 else "",
        }


def _point(point: SeriesPoint) -> tuple[GridCell, ...]:
    verdict, *figures = _figures(point)
    return (
        GridCell(str(point.run), link=f"/runs/{point.run}"),
        GridCell(_when(point.created)),
        verdict,
        *figures,
        GridCell(point.trust or ABSENT),
        GridCell(point.commit[:_COMMIT] or ABSENT, under=point.branch, is_code=True),
        GridCell(point.engine or ABSENT),
    )


def _listed(one: KeptRun) -> tuple[GridCell, ...]:
    timed = [latency for latency in one.latency if latency.p50 is not None]
    fastest = min(timed, key=lambda latency: latency.p50 or 0.0) if timed else None
    figure = f"{format_value(fastest.p50, 's')} on {fastest.target}" if fastest else ABSENT
    word, verdict = _verdict(one)
    return (
        GridCell(str(one.number), link=f"/runs/{one.number}"),
        GridCell(_when(one.created)),
        GridCell(one.command),
        GridCell(one.model or one.subject),
        GridCell(figure),
        GridCell(word, verdict=verdict),
        GridCell(one.commit[:_COMMIT] or ABSENT, under=one.branch, is_code=True),
    )


def _verdict(one: KeptRun) -> tuple[str, Verdict | None]:
    """The verdict of a run as a word; a run that judged nothing was measured."""
    is_judged = one.command not in ("profile", "sweep") or any(found.kind != "outcome" for found in one.verdicts)
    if one.verdict is Verdict.PASS and not is_judged:
        return "measured", None
    return WORDS[one.verdict], one.verdict


def _measured(one: KeptLatency) -> tuple[GridCell, ...]:
    median = Estimate(one.p50, one.p50_low, one.p50_high, len(one.launch_medians))
    return (
        GridCell(one.artifact, under=formatting.sizes(one.sizes), is_code=True),
        GridCell(one.model or ABSENT),
        GridCell(one.target, is_code=True),
        GridCell(formatting.quantity(median, "s"), under=formatting.interval(median, "s")),
        *(GridCell(format_value(value, "s")) for value in (one.p90, one.load, one.first_run)),
        GridCell(format_value(one.memory, "bytes")),
        GridCell(one.trust or ABSENT),
        GridCell(" ".join(filter(None, (one.engine, one.provider))) or ABSENT),
    )


def _judged(one: KeptVerdict) -> tuple[GridCell, ...]:
    return (
        GridCell(one.name or one.kind),
        GridCell(WORDS[one.verdict], verdict=one.verdict),
        GridCell(one.kind),
        GridCell(one.artifact or ABSENT, is_code=True),
        GridCell(one.target or ABSENT, is_code=True),
    )


def _pair(one: RunPair) -> tuple[GridCell, ...]:
    change = signed(comparison.change(one.ratio.value)) if one.ratio.value is not None else ABSENT
    medians = [
        GridCell(formatting.quantity(side, "s"), under=formatting.interval(side, "s")) for side in (one.a, one.b)
    ]
    return (
        GridCell(one.artifact, under=formatting.sizes(one.sizes), is_code=True),
        GridCell(one.model or ABSENT),
        GridCell(one.target, under=one.engine, is_code=True),
        *medians,
        GridCell(change),
        GridCell(one.says or ABSENT, verdict=_MARKS.get(one.says, Verdict.PASS) if one.says else None),
    )


def _changes(pairs: Sequence[RunPair]) -> Picture | None:
    rows = [
        IntervalRow(
            f"{one.artifact} on {one.target}{formatting.at_sizes(one.sizes)}{f', {one.engine}' if one.engine else ''}",
            signed(comparison.change(one.ratio.value)),
            Estimate(one.ratio.value - 1, (one.ratio.low or 0) - 1, (one.ratio.high or 0) - 1),
            str(_MARKS.get(one.says, Verdict.PASS)),
        )
        for one in pairs
        if one.ratio.value is not None
    ]
    if not rows:
        return None
    axis = IntervalAxis(lambda value: signed(f"{100 * value:+.3g} %"), marked=0.0)
    markup = draw(rows, axis, title="Change of the median from A to B", key="changes")
    return marked(Picture("Change of the median from A to B", "With 95 % intervals over launches.", markup))


def _device(one: KeptDevice) -> tuple[GridCell, ...]:
    libraries = ", ".join(f"{name} {version}" for name, version in one.engines.items())
    memory = None if one.memory_mib is None else one.memory_mib * _MIB
    return (
        GridCell(one.target, under="emulated" if one.is_emulated else "", is_code=True),
        GridCell(one.cpu or ABSENT),
        GridCell(one.architecture),
        GridCell(str(one.cores) if one.cores else ABSENT),
        GridCell(format_value(memory, "bytes")),
        GridCell(one.system),
        GridCell(libraries or ABSENT),
        GridCell(one.trust or ABSENT),
        GridCell(_when(one.last_seen)),
        GridCell(str(one.run), link=f"/runs/{one.run}"),
    )


def _when(created: str) -> str:
    return created[:16].replace("T", " ")
