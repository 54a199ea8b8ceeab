"""The page of a sweep: what backend versions cost, the matrix of medians, and every combination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from edgekit.core.reports.report import Estimate
from edgekit.core.reports.sweep import SweepReport, SweptCombination
from edgekit.core.units import ABSENT, format_value
from edgekit.core.verdict import Verdict
from edgekit.report import formatting
from edgekit.report.matrices import sweep
from edgekit.report.matrices.heat import FACTORS, heat_matrix, median_of
from edgekit.report.pages.compare import PAIRS, changes, pair_cells
from edgekit.report.pages.grids import Column, Grid, GridCell, grid
from edgekit.report.pages.page import WORDS, Head, render, signed

_VERSIONS: Final = (Column("model"), Column("target", is_text=True), *PAIRS[1:])
_COMBINATIONS: Final = (
    Column("model"),
    Column("target", is_text=True),
    Column("batch"),
    Column("backend", is_text=True),
    *(Column(title) for title in ("p50", "p90", "memory", "launches")),
    Column("trust", is_text=True),
)
_MISSING: Final = (
    Column("not measured"),
    *(Column(title, is_text=True) for title in ("target", "reason", "command")),
)


def render_html(report: SweepReport) -> str:
    """The page; errors as in `pages.page.render`."""
    head = Head(
        command=report.command,
        created=report.created,
        name=report.file,
        word=WORDS[report.verdict] if sweep.is_judged(report) else "Measured",
        verdict=report.verdict if sweep.is_judged(report) else None,
        counts=_counts(report),
    )
    pairs = [one.compared for one in report.verdicts]
    names = [f"{sweep.name_of(one)} on {one.compared.target}" for one in report.verdicts]
    called = {(one.model, one.artifact): sweep.name_of(one) for one in report.combinations}
    more = [("results", report.results), ("schema", str(report.schema_version))]
    return render(
        "sweep.html",
        head,
        tools=report.tools,
        reproduction=report.reproduction,
        more=more,
        notes=[signed(note) for note in sweep.notes(report)],
        versions=_versions(report) if report.verdicts else None,
        change=changes(pairs, report.minimum_effect, "change", names),
        matrix=heat_matrix(report, called) if report.combinations else None,
        factors=[f"{factor:g}" for factor in FACTORS],
        combinations=_combinations(report.combinations) if report.combinations else None,
        missing=_missing(report) if report.missing else None,
    )


def _counts(report: SweepReport) -> str:
    found = [formatting.plural(len(report.combinations), "combination")]
    says = Counter(one.compared.says for one in report.verdicts)
    found += [f"{count} {word}" for word, count in says.items()]
    if wrong := sum(one.is_wrong for one in report.combinations):
        found.append(f"{wrong} with wrong outputs")
    if report.missing:
        found.append(f"{len(report.missing)} not complete")
    return ", ".join(found)


def _versions(report: SweepReport) -> Grid:
    rows = ((GridCell(sweep.name_of(one), is_code=True), *pair_cells(one.compared)) for one in report.verdicts)
    return grid("backend versions", _VERSIONS, rows)


def _combinations(found: Sequence[SweptCombination]) -> Grid:
    return grid("combinations", _COMBINATIONS, map(_combination, found))


def _combination(one: SweptCombination) -> tuple[GridCell, ...]:
    median, latency = median_of(one), one.latency
    p90 = latency.quantiles.get("p90", Estimate(None)) if latency else Estimate(None)
    wrong = GridCell("wrong outputs", verdict=Verdict.FAIL)
    return (
        GridCell(sweep.name_of(one), is_code=True),
        GridCell(one.target, is_code=True),
        GridCell(str(one.batch)),
        GridCell(sweep.backend_of(one)),
        wrong if one.is_wrong else GridCell(formatting.quantity(median, "s"), under=formatting.interval(median, "s")),
        GridCell(format_value(p90.value, "s")),
        GridCell(format_value(latency.memory.value if latency else None, "bytes")),
        GridCell(str(one.launches), under=f"{one.earlier} from before" if one.earlier else ""),
        GridCell(latency.trust.grade if latency else ABSENT),
    )


def _missing(report: SweepReport) -> Grid:
    rows = (
        (
            GridCell(one.artifact, under=f"batch {one.batch}" if one.batch > 1 else ""),
            GridCell(one.target, is_code=True),
            GridCell(one.reason),
            GridCell(one.hint or ABSENT, is_code=True),
        )
        for one in report.missing
    )
    return grid("not measured", _MISSING, rows)
