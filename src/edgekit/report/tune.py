"""The result of `edgekit tune` for people: text for the terminal, and Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edgekit.core.reports.tuning import Candidate, TuneReport
from edgekit.core.units import format_value
from edgekit.report import formatting
from edgekit.report.markdown import code, prose
from edgekit.report.widths import print_table, say

_NAME: Final = 40
TITLES: Final = ("artifact", "options", "p50", "runs", "memory", "size", "loss", "")


def render(report: TuneReport, console: Console) -> None:
    """Print the candidates worth a choice, and the choice."""
    say(console, Text(f"edgekit tune  {formatting.clean(_where(report))}"), Text(""))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=Style(dim=True))
    for title in TITLES:
        table.add_column(title, justify="left" if title in ("artifact", "options", "") else "right")
    for one in worth(report):
        name, *others = cells(one, report)
        table.add_row(formatting.shortened(name, _NAME), *map(formatting.clean, others))
    print_table(console, table)
    say(console, Text(""), *(Text(formatting.clean(line)) for line in notes(report)))
    say(console, Text(f"Chosen: {formatting.clean(chosen_target(report))}"))
    if report.file:
        say(console, Text(f"Saved in {formatting.clean(report.file)}"))


def render_markdown(report: TuneReport) -> str:
    """The same as GitHub-flavoured Markdown."""
    rows = [
        " | ".join(["", code(first), *map(prose, rest), ""]).strip()
        for first, *rest in (cells(one, report) for one in worth(report))
    ]
    head = [f"| {' | '.join(TITLES)} |", f"|{'---|' * len(TITLES)}"]
    title = f"## edgekit tune: {code(chosen_target(report))}"
    below = "\n".join(f"- {prose(line)}" for line in notes(report))
    return "\n\n".join((title, prose(_where(report)), "\n".join([*head, *rows]), below)) + "\n"


def worth(report: TuneReport) -> list[Candidate]:
    """The candidates that no other one surpasses, and those that are tied with the fastest; all without a choice."""
    is_open = report.chosen is None
    return [one for one in report.candidates if one.is_efficient or one.is_tied or (is_open and one.launches)]


def cells(one: Candidate, report: TuneReport) -> tuple[str, ...]:
    """The texts under `TITLES`."""
    return (
        one.artifact,
        options(one),
        format_value(one.latency.value, "s"),
        str(one.launches),
        format_value(one.memory.value, "bytes"),
        format_value(one.size_bytes, "bytes"),
        loss(one),
        mark(one, report),
    )


def options(one: Candidate) -> str:
    """`graph=all threads=2`."""
    return " ".join(f"{name}={value}" for name, value in sorted(one.options.items()))


def loss(one: Candidate) -> str:
    """What the artifact loses against PyTorch: its drop, or its SQNR where there is none."""
    return format_value(one.drop, "points") if one.drop is not None else format_value(one.sqnr_db, "dB")


def mark(one: Candidate, report: TuneReport) -> str:
    """`chosen`, `tied`, or nothing."""
    return "chosen" if one == report.chosen else "tied" if one.is_tied else ""


def notes(report: TuneReport) -> Iterator[str]:
    """What a reader must know about the choice, a sentence each."""
    if report.missing:
        yield f"INCOMPLETE: {report.missing} The rows contain what was measured before."
    equal = sum(one.is_tied for one in worth(report))
    if equal > 1:
        yield (
            f"{equal} candidates are tied: the measurement cannot distinguish them. The one with the fewest threads, "
            "then the smallest file, is chosen."
        )
    yield from report.warnings
    yield f"{report.launches} launches; a full measurement of every candidate takes {report.exhaustive}."


def chosen_target(report: TuneReport) -> str:
    """The artifact and the target that runs it best, or that there is none."""
    if report.chosen is None:
        return "nothing"
    return f"{report.chosen.artifact} as {device_of(report)}{report.chosen.target}"


def device_of(report: TuneReport) -> str:
    """The device that it was tuned for, without backend and options."""
    return report.target.split("/")[0].split("@")[0]


def _where(report: TuneReport) -> str:
    return f"{report.bundle} on {report.target} ({report.device})"
