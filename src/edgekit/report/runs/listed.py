"""Runs of the store for people: one line each, or one run with what it measured and judged."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edgekit.core.reports.kept import KeptLatency, KeptRun, KeptRunReport, RunsReport
from edgekit.core.units import format_value
from edgekit.report import check, comparison, formatting, terminal, tune
from edgekit.report.matrices import sweep
from edgekit.report.widths import print_table, say

_DIM: Final = Style(dim=True)
_COMMIT_LETTERS: Final = 10
_NAME: Final = 40
_MOST_LINES: Final = 3


def render_runs(report: RunsReport, console: Console) -> None:
    """Print runs, newest first, each with its fastest latencies."""
    if not report.runs:
        say(console, Text(f"No run in '{formatting.clean(report.store)}' fits."))
        return
    has_branches = any(run.branch for run in report.runs)
    table = _table("run", "when", "command", "model", "latency", "verdict", "commit", *(["branch"] * has_branches))
    for run in report.runs:
        branch = [formatting.shortened(run.branch, _NAME)] * has_branches
        table.add_row(*map(formatting.clean, (*_cells(run), *branch)))
    print_table(console, table)
    if report.total > len(report.runs):
        say(console, Text(""), Text(f"{len(report.runs)} of {report.total:,} runs", style=_DIM))


def render_kept(found: KeptRunReport, console: Console) -> None:
    """Print the whole report of a run as its command does, or its figures if the report was removed."""
    if found.report:
        terminal.render(found.report, console)
    elif found.check:
        check.render(found.check, console)
    elif found.comparison:
        comparison.render(found.comparison, console)
    elif found.tuning:
        tune.render(found.tuning, console)
    elif found.sweep:
        sweep.render(found.sweep, console)
    else:
        _figures(found.run, console)


def _figures(run: KeptRun, console: Console) -> None:
    head = f"run {run.number}  {run.created}  {run.command}  {_subject(run)}"
    say(console, Text(formatting.clean(head)), Text(""))
    if run.latency:
        table = _table("artifact", "target", "p50", "interval", "p90", "memory", "trust")
        for one in run.latency:
            table.add_row(*map(formatting.clean, _measured(one)))
        print_table(console, table)
    for verdict in run.verdicts:
        words = (verdict.verdict.value, verdict.kind, verdict.name, verdict.artifact, verdict.target)
        say(console, Text(formatting.clean("  ".join(filter(None, words)))))
    say(console, Text(""), Text("The whole report was removed; these are its figures.", style=_DIM))
    say(console, Text(f"verdict: {run.verdict.value}"))


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=_DIM)
    for title in titles:
        table.add_column(title, justify="right" if title in ("run", "p50", "p90", "memory") else "left")
    return table


def _cells(run: KeptRun) -> tuple[str, ...]:
    when = run.created[:16].replace("T", " ")
    return str(run.number), when, run.command, _subject(run), _fastest(run), run.verdict.value, _commit(run)


def _subject(run: KeptRun) -> str:
    models = ", ".join(dict.fromkeys(one.model for one in run.latency if one.model))
    return formatting.shortened(run.model or models or run.subject, _NAME)


def _commit(run: KeptRun) -> str:
    return run.commit[:_COMMIT_LETTERS]


def _fastest(run: KeptRun) -> str:
    """The fastest median of each target, `1.2 ms on pi5`."""
    best: dict[str, float] = {}
    for one in run.latency:
        if one.p50 is not None:
            best[one.target] = min(one.p50, best.get(one.target, one.p50))
    shown = [f"{format_value(value, 's')} on {target}" for target, value in list(best.items())[:_MOST_LINES]]
    return ", ".join([*shown, *(["..."] if len(best) > _MOST_LINES else [])])


def _measured(one: KeptLatency) -> tuple[str, ...]:
    interval = "" if one.p50_low is None else f"{format_value(one.p50_low, 's')}..{format_value(one.p50_high, 's')}"
    return (
        one.artifact + formatting.at_sizes(one.sizes),
        one.target,
        format_value(one.p50, "s"),
        interval,
        format_value(one.p90, "s"),
        format_value(one.memory, "bytes"),
        one.trust,
    )
