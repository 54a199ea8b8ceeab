"""A comparison for people: a table for the terminal at 80 columns, and Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edgekit.core.reports.comparison import Compared, ComparisonReport, FileDifferences
from edgekit.core.units import ABSENT, format_value
from edgekit.report import formatting
from edgekit.report.markdown import code, prose
from edgekit.report.widths import print_table, say

_STYLES: Final = {
    "slower": Style(color="red", bold=True),
    "inconclusive": Style(color="yellow", bold=True),
    "equal": Style(color="green"),
    "faster": Style(color="green"),
}
_NAME_WIDTH: Final = 22


def render(report: ComparisonReport, console: Console) -> None:
    """Print every pair as a row, notes on it, and the verdict on the last line."""
    say(console, Text(f"edgekit compare  A: {formatting.clean(report.a)}  B: {formatting.clean(report.b)}"), Text(""))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=Style(dim=True))
    for title in ("target", "A median", "B median", "change", "interval", "B is"):
        table.add_column(title, overflow="fold", justify="left" if title in ("target", "B is") else "right")
    for pair in report.pairs:
        table.add_row(
            formatting.shortened(_name(pair), _NAME_WIDTH), *figures(pair), Text(pair.says, style=_STYLES[pair.says])
        )
    if report.pairs:
        print_table(console, table)
    say(console, *(Text(line, style=Style(dim=True)) for line in notes(report)), indent=2)
    if report.files is not None:
        say(console, Text(""), *(Text(line) for line in file_lines(report.files)))
    say(console, Text(""), Text(f"VERDICT: {formatting.VERDICTS[report.verdict]}"))


def render_markdown(report: ComparisonReport) -> str:
    """The comparison as GitHub-flavoured Markdown."""
    rows = [
        f"| {code(pair.target)} | {code(pair.a)} | {code(pair.b)} | {' | '.join(figures(pair))} | **{pair.says}** |"
        for pair in report.pairs
    ]
    head = [
        "| target | A | B | A median | B median | change | interval | B is |",
        "|---|---|---|---:|---:|---:|---|---|",
    ]
    title = f"## edgekit compare: {formatting.VERDICTS[report.verdict]}"
    lines = [*notes(report), *(file_lines(report.files) if report.files else ())]
    below = "\n".join(f"- {prose(line)}" for line in lines)
    table = "\n".join([*head, *rows]) if rows else ""
    return "\n\n".join(part for part in (title, table, below) if part) + "\n"


def notes(report: ComparisonReport) -> Iterator[str]:
    """What a reader must know besides the figures, one sentence each."""
    for one in report.missing:
        yield f"{one.target} was not measured: {one.reason}{f' Hint: {one.hint}' if one.hint else ''}"
    for pair in report.pairs:
        name = f"{_name(pair)}: " if len(report.pairs) > 1 else ""
        if pair.ratio.value is None:
            yield f"{name}no ratio, {pair.ratio.reason}"
        elif pair.detectable is not None:
            yield (
                f"{name}{formatting.plural(pair.ratio.n, 'launch')} each: detects "
                f"{percent(pair.detectable)} in 80 % of cases (minimum effect {percent(report.minimum_effect)})"
            )
        if at := formatting.at_sizes(pair.sizes):
            yield f"{name}measured{at}"
        if pair.repeated:
            repeated = formatting.plural(pair.repeated, "pair")
            yield f"{name}{repeated} disturbed by other work and measured again; both are kept"
        yield from (f"{name}A and B differ in {fact}" for fact in pair.differing)


def file_lines(files: FileDifferences) -> Iterator[str]:
    """How the files differ besides their latency, one sentence each."""
    sizes = (format_value(size, "bytes") for size in (files.size_a_bytes, files.size_b_bytes))
    ratio = files.size_b_bytes / files.size_a_bytes if files.size_a_bytes else 1.0
    yield f"size: {' and '.join(sizes)}, {change(ratio)}"
    if files.operators_a and files.operators_b:
        yield f"operators: {_operators(files)}"
    inputs = "generated inputs" if files.generated else "samples"
    for one in files.outputs:
        if one.largest == 0:
            yield f"output {formatting.clean(one.output)}: equal on {one.samples} {inputs}"
            continue
        figures = [f"differs by at most {one.largest:.3g} (range {one.span:.3g})"]
        figures += [f"SQNR {one.sqnr_db:.1f} dB"] * (one.sqnr_db is not None)
        figures += [] if one.top1 is None else [f"same top-1 in {percent(one.top1)}"]
        yield f"output {formatting.clean(one.output)}: {', '.join(figures)} on {one.samples} {inputs}"
    if files.reason:
        yield f"outputs not compared: {formatting.clean(files.reason)}"


def _operators(files: FileDifferences) -> str:
    """The types of which there are more or fewer, `12 and 14 Conv`; totals alone where formats share no name."""
    a, b = files.operators_a, files.operators_b
    counts = f"{sum(a.values())} and {sum(b.values())}"
    if not a.keys() & b.keys():
        return counts
    names = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    others = [f"{a.get(name, 0)} and {b.get(name, 0)} {name}" for name in names]
    return f"{counts}, {', '.join(map(formatting.clean, others))}" if others else f"{counts}, of the same types"


def percent(share: float) -> str:
    """`3.0 %` for 0.03."""
    return f"{100 * share:.1f} %"


def change(ratio: float) -> str:
    """`+5.1 %` for a ratio of 1.051."""
    return f"{100 * (ratio - 1):+.1f} %"


def _name(pair: Compared) -> str:
    return pair.target if pair.a == pair.b else f"{pair.target} {pair.a}"


def figures(pair: Compared) -> tuple[str, str, str, str]:
    """Median of A, median of B, change, and its interval."""
    ratio = pair.ratio
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return ABSENT, ABSENT, ABSENT, ""
    between = f"{change(ratio.low)} .. {change(ratio.high)}"
    return _middle(pair.medians_a), _middle(pair.medians_b), change(ratio.value), between


def _middle(values: tuple[float, ...]) -> str:
    return format_value(sorted(values)[len(values) // 2], "s") if values else ABSENT
