"""The page of a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from edgekit.core.measurement import Measurement
from edgekit.core.reports.comparison import Compared, ComparisonReport, FileDifferences, OutputDifference
from edgekit.core.reports.report import Estimate
from edgekit.core.units import ABSENT, format_value
from edgekit.report import comparison, formatting, rows
from edgekit.report.pages.grids import Column, Grid, GridCell, grid
from edgekit.report.pages.page import WORDS, Head, marked, render, signed
from edgekit.report.pages.pictures import calls, disturbed
from edgekit.report.plots import interval_rows, latency
from edgekit.report.plots.latency import Picture

PAIRS: Sequence[Column] = (
    Column("target"),
    *(Column(title, is_text=True) for title in ("A", "B")),
    *(Column(title) for title in ("A median", "B median", "change", "detects")),
    Column("B is", is_text=True),
)
_FILES: Sequence[Column] = tuple(Column(title) for title in ("file", "A", "B", "change"))
_OUTPUTS: Sequence[Column] = tuple(
    Column(title) for title in ("output", "largest difference", "range of A", "SQNR", "same top-1", "samples")
)
_MARKS = {"slower": "fail", "inconclusive": "inconclusive", "equal": "pass", "faster": "pass"}


def render_html(report: ComparisonReport) -> str:
    """The page; errors as in `pages.page.render`."""
    counts = Counter(pair.says for pair in report.pairs)
    said = ", ".join(f"{says} in {count} of {len(report.pairs)}" for says, count in counts.items())
    head = Head(
        command=report.command,
        created=report.created,
        name=f"{report.b} against {report.a}",
        word=WORDS[report.verdict],
        verdict=report.verdict,
        counts=f"B is {said} {'comparison' if len(report.pairs) == 1 else 'comparisons'}." if said else "",
    )
    schema = ("schema", str(report.schema_version))
    return render(
        "compare.html", head, tools=report.tools, reproduction=report.reproduction, more=[schema], **_context(report)
    )


def pairs_grid(pairs: Sequence[Compared]) -> Grid:
    """Every pair with both medians, the change and its interval."""
    return grid("pairs", PAIRS, map(pair_cells, pairs))


def changes(
    pairs: Sequence[Compared], minimum_effect: float | None, key: str, names: Sequence[str] = ()
) -> Picture | None:
    """The change of every pair with its interval; None if none is known.

    Args:
        names: What each pair is called; by default its target, with its artifact if needed.
    """
    called = names or [_name(pair, pairs) for pair in pairs]
    known = [
        interval_rows.IntervalRow(name, signed(comparison.change(pair.ratio.value)), _change(pair), mark)
        for pair, name in zip(pairs, called, strict=True)
        if pair.ratio.value is not None
        for mark in [_MARKS[pair.says]]
    ]
    if not known:
        return None
    band = None if minimum_effect is None else (-minimum_effect, minimum_effect)
    axis = interval_rows.IntervalAxis(lambda value: signed(f"{100 * value:+.3g} %"), marked=0.0, band=band)
    markup = interval_rows.draw(known, axis, title="Change of the median from A to B", key=key)
    within = "" if band is None else f" The band is the minimum effect, {comparison.percent(band[1])}."
    caption = f"Change of the median latency from A to B with its 95 % interval; right of zero B is slower.{within}"
    return marked(Picture("", caption, markup))


def _context(report: ComparisonReport) -> dict[str, Any]:
    targets = _targets(report)
    names = list(dict.fromkeys(row.artifact for target in targets for row in target.rows))
    files = report.files
    return {
        "report": report,
        "pairs": pairs_grid(report.pairs),
        "change": changes(report.pairs, report.minimum_effect, "change"),
        "notes": [signed(note) for note in comparison.notes(report)],
        "files": _files(files) if files else None,
        "outputs": grid("outputs", _OUTPUTS, map(_output, files.outputs)) if files and files.outputs else None,
        "pictures": calls(targets, names, "calls"),
        "disturbed": disturbed(targets),
        "colour_of": lambda name: latency.colour(names, name),
    }


def pair_cells(pair: Compared) -> tuple[GridCell, ...]:
    """The cells of a pair in the columns `PAIRS`."""
    a, b, change, between = comparison.figures(pair)
    detects = ABSENT if pair.detectable is None else comparison.percent(pair.detectable)
    return (
        GridCell(f"{pair.target}{formatting.at_sizes(pair.sizes)}", is_code=True),
        GridCell(pair.a, is_code=True),
        GridCell(pair.b, is_code=True),
        GridCell(a),
        GridCell(b),
        GridCell(signed(change), under=signed(between.replace("..", "to"))),
        GridCell(detects),
        GridCell(pair.says, verdict=pair.verdict),
    )


def _change(pair: Compared) -> Estimate:
    value, low, high = (None if one is None else one - 1 for one in (pair.ratio.value, pair.ratio.low, pair.ratio.high))
    return Estimate(value, low, high, pair.ratio.n)


def _name(pair: Compared, pairs: Sequence[Compared]) -> str:
    """The target, and the artifact where a target has several."""
    is_alone = [one.target for one in pairs].count(pair.target) == 1
    return pair.target if is_alone else f"{pair.a} on {pair.target}"


def _files(files: FileDifferences) -> Grid:
    found = [_sizes("size", files.size_a_bytes, files.size_b_bytes, "bytes")]
    a, b = files.operators_a, files.operators_b
    if a and b:
        found.append(_sizes("operators", sum(a.values()), sum(b.values()), ""))
    names = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    found += [_sizes(name, a.get(name, 0), b.get(name, 0), "") for name in names]
    return grid("files", _FILES, found)


def _sizes(name: str, a: int, b: int, unit: str) -> tuple[GridCell, ...]:
    said = (format_value(one, unit) if unit else f"{one:,}" for one in (a, b))
    change = signed(comparison.change(b / a)) if unit and a else signed(f"{b - a:+,}")
    return (GridCell(name, is_code=not unit and name != "operators"), *map(GridCell, said), GridCell(change))


def _output(one: OutputDifference) -> tuple[GridCell, ...]:
    return (
        GridCell(one.output, is_code=True),
        GridCell("equal" if one.largest == 0 else f"{one.largest:.3g}"),
        GridCell(f"{one.span:.3g}"),
        GridCell(signed(format_value(one.sqnr_db, "dB"))),
        GridCell(ABSENT if one.top1 is None else comparison.percent(one.top1)),
        GridCell(f"{one.samples:,}"),
    )


def _targets(report: ComparisonReport) -> list[rows.TargetView]:
    """Both sides of every pair that was measured here, as rows of a target; nothing of two reports."""
    if len(report.measurements) != 2 * len(report.pairs):
        return []
    sides = zip(report.measurements[::2], report.measurements[1::2], report.pairs, strict=True)
    return [rows.TargetView(pair.target, None, tuple(_rows(pair, a, b))) for a, b, pair in sides]


def _rows(pair: Compared, a: Measurement, b: Measurement) -> Iterator[rows.Row]:
    if pair.ratio.value is None:  # no time is shown of what failed, or was emulated
        return
    for side, name, measurement in (("A", pair.a, a), ("B", pair.b, b)):
        row = rows.Row(f"{side}: {name}", pair.target, measurement=measurement)
        yield replace(row, withheld="")
