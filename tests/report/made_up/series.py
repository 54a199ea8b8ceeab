"""A series of kept runs."""

from __future__ import annotations

from edgekit.core.reports.kept_pages import KeptSeries, PageFilter, SeriesPoint, SeriesReport
from edgekit.core.reports.report import Estimate
from edgekit.core.verdict import Verdict


def point(run: int, median: float | None, *, verdict: Verdict | None = None, batch: int = 1) -> SeriesPoint:
    low, high = (None, None) if median is None else (median * 0.98, median * 1.02)
    return SeriesPoint(
        run=run,
        created=f"2026-11-{run:02}T03:00:00+00:00",
        command="check",
        commit=f"{run:040x}",
        branch="main",
        verdict=verdict,
        sizes={"N": batch},
        engine="onnxruntime 1.32.0",
        latency=Estimate(median, low, high, 5),
        p90=None,
        memory=None,
        trust="A",
    )


def report(*points: SeriesPoint, name: str = "kws") -> SeriesReport:
    series = (KeptSeries(name, "pi5", "onnx-int8", points),) if points else ()
    shown = PageFilter(model=name)
    return SeriesReport(
        store="runs.sqlite", shown=shown, series=series, total=len(series), page=1, command="history plot"
    )


COURSE = (
    point(1, 2e-3, verdict=Verdict.PASS),
    point(2, 2.01e-3, verdict=Verdict.PASS),
    point(3, 2.4e-3, verdict=Verdict.FAIL),
)
