"""`edgekit history`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import Share, path_type, report_option_of
from edgekit.cli.commands.check import config_option
from edgekit.cli.common import Call, Command, common
from edgekit.cli.output import columns
from edgekit.cli.program import Commands
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.core.reports.history import HistoryReport, Point, Series
    from edgekit.core.reports.kept import ExportReport, ImportReport, KeptRunReport, PruneReport

_COMMIT_LETTERS = 10
MOST_LISTED = 10_000
MOST_PLOTTED = 1000


@click.group("history", cls=Commands)
def command() -> None:
    """Show earlier runs and checks, find the first slow one, accept a new level.

    'show', 'blame' and 'accept' read the history of 'edgekit check', which is stored next to the configuration. 'list'
    and the others read the runs that --record or the setting 'history' kept: in a SQLite file, or in PostgreSQL.
    """


@command.command(
    "list",
    cls=Command,
    examples=["edgekit history list --branch main", "edgekit history list --model kws --target pi5 --json"],
)
@click.option("--model", default="", metavar="NAME", help="Only runs of this model.")
@click.option("--target", default="", metavar="TARGET", help="Only runs that measured on this target.")
@click.option("--branch", default="", metavar="NAME", help="Only runs of this branch.")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=MOST_LISTED),
    default=20,
    show_default=True,
    metavar="NUMBER",
    help="At most this many.",
)
@common()
def list_command(call: Call, model: str, target: str, branch: str, limit: int) -> None:
    """Print the runs that were kept, newest first."""
    from edgekit.cli.reports import rendered
    from edgekit.flows.keeping.runs import newest_runs
    from edgekit.report.runs.listed import render_runs

    found = newest_runs(call.history(), limit=limit, model=model, target=target, branch=branch)
    call.answer(found, lambda shown: rendered(shown, render_runs, call.output))


@command.command(
    "show",
    cls=Command,
    examples=["edgekit history show", "edgekit history show --config ci/edgekit.toml", "edgekit history show 12"],
)
@click.argument(
    "run", type=click.IntRange(min=1), required=False, metavar="[RUN]", help="The number of a run in 'history list'."
)
@config_option
@common()
def show_command(call: Call, run: int | None, config: Path) -> None:
    """Print the runs, the last value and the level of every series, or one run.

    Without RUN these are the series of 'edgekit check'.
    """
    if run is not None:
        from edgekit.flows.keeping.runs import kept_run

        call.answer(kept_run(call.history(), run), lambda shown: _run(call, shown))
        return
    from edgekit.flows.history import show

    found = show(config, store=call.settings().history)
    call.answer(found, _shown)


@command.command("blame", cls=Command, examples=["edgekit history blame", "edgekit history blame --json"])
@config_option
@common()
def blame_command(call: Call, config: Path) -> None:
    """Print the first slow run of every series that became slower."""
    from edgekit.flows.history import show

    found = show(config, store=call.settings().history, command="history blame")
    call.answer(found, lambda shown: "\n".join(_blamed(shown)))


@command.command(
    "accept",
    cls=Command,
    examples=['edgekit history accept --why "larger input"', 'edgekit history accept --model kws --why "new labels"'],
)
@config_option
@click.option("--why", required=True, metavar="TEXT", help="The reason, which is recorded in the history.")
@click.option("--model", multiple=True, metavar="NAME", help="Only this model; repeatable.  [default: all]")
@common(acts=True)
def accept_command(call: Call, config: Path, why: str, model: tuple[str, ...]) -> int:
    """Make the current models the baseline, with a reason.

    Copies every model over its baseline file and restarts its series. Nothing else ever changes a baseline.
    """
    from edgekit.flows.history import accept_order

    return call.perform(
        lambda _: accept_order(config, why=why, model=model, store=call.settings().history),
        lambda found: call.answer(
            found, lambda shown: f"accepted: {', '.join(shown.accepted.models)} ({shown.accepted.why})"
        ),
    )


@command.command("import", cls=Command, examples=["edgekit history import old/*.json edgekit-history.jsonl"])
@click.argument(
    "files", type=path_type, nargs=-1, required=True, help="Reports (.json) and histories of 'check' (.jsonl)."
)
@common(acts=True)
def import_command(call: Call, files: tuple[Path, ...]) -> int:
    """Keep the reports of earlier commands, and the histories of checks, each once.

    A history belongs to the project in whose folder it is.
    """
    from edgekit.flows.history import import_order

    def text(found: ImportReport) -> str:
        lines = f", {found.lines} new lines" if found.lines else ""
        return f"{len(found.added)} new runs{lines} in '{found.store}', {found.known} were there before"

    return call.perform(lambda _: import_order(call.history(), files), lambda found: call.answer(found, text))


@command.command("compare", cls=Command, examples=["edgekit history compare 11 12"])
@click.argument("a", type=click.IntRange(min=1), help="The number of the earlier run in 'history list'.")
@click.argument("b", type=click.IntRange(min=1), help="The number of the later run.")
@click.option(
    "--minimum-effect",
    type=Share(),
    metavar="SHARE",
    help="The smallest difference that counts, e.g. 3%.  [setting: minimum_effect]",
)
@common()
def compare_command(call: Call, a: int, b: int, minimum_effect: float | None) -> int:
    """Compare the latencies of two runs that were kept, without measuring.

    Exits with 1 if run B is slower than run A, like 'edgekit compare'.
    """
    from edgekit.cli.reports import rendered
    from edgekit.flows.compare import compare_runs
    from edgekit.report.comparison import render

    found = compare_runs(call.history(), a, b, call.settings(minimum_effect=minimum_effect))
    call.answer(found, lambda shown: rendered(shown, render, call.output, pipe_columns=80))
    return found.exit_code


@command.command(
    "plot",
    cls=Command,
    examples=["edgekit history plot kws --target pi5", "edgekit history plot kws --report kws.svg"],
)
@click.argument("model", help="The name of a model in 'history list'.")
@click.option("--target", default="", metavar="TARGET", help="Only what was measured on this target.")
@click.option("--artifact", default="", metavar="RECIPE", help="Only this artifact.")
@click.option("--branch", default="", metavar="NAME", help="Only runs of this branch.")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=MOST_PLOTTED),
    default=40,
    show_default=True,
    metavar="NUMBER",
    help="At most this many runs of each series.",
)
@report_option_of("history plot", ".svg or .json")
@common()
def plot_command(
    call: Call, model: str, target: str, artifact: str, branch: str, limit: int, report: tuple[Path, ...]
) -> None:
    """Draw the median latency of a model from run to run, with intervals and verdicts.

    An 'o' is the median of a run on its interval, an 'x' that of a run that failed.
    """
    from edgekit.cli.reports import rendered, write_documents
    from edgekit.core.reports.kept_pages import PageFilter
    from edgekit.flows.keeping.runs import plotted
    from edgekit.report.runs.plotted import render

    found = plotted(call.history(), PageFilter(model, target, artifact, branch), points=limit)
    write_documents(found, report)
    call.answer(found, lambda shown: rendered(shown, render, call.output, report, pipe_columns=80))


@command.command("export", cls=Command, examples=["edgekit history export runs.csv"])
@click.argument("file", type=path_type, help="A .csv or .parquet, with a row for each measurement, or a .json.")
@common()
def export_command(call: Call, file: Path) -> None:
    """Write all runs to a file for other programs. An existing file is replaced."""
    from edgekit.flows.keeping.runs import export

    def text(found: ExportReport) -> str:
        return f"{found.runs} runs in '{found.file}'"

    call.answer(export(call.history(), file), text)


@command.command(
    "prune", cls=Command, examples=["edgekit history prune --days 90", "edgekit history prune --keep 500 --dry-run"]
)
@click.option("--days", type=click.IntRange(min=0), metavar="NUMBER", help="Remove those of runs older than this.")
@click.option("--keep", type=click.IntRange(min=0), metavar="NUMBER", help="Remove all but those of the newest runs.")
@common(acts=True)
def prune_command(call: Call, days: int | None, keep: int | None) -> int:
    """Remove whole reports, which contain all raw values; the figures of their runs stay."""
    from edgekit.flows.keeping.runs import prune_order

    def text(found: PruneReport) -> str:
        size = format_value(found.size_bytes, "bytes")
        return f"{found.removed} whole reports removed ({size}), {found.left} left"

    return call.perform(
        lambda _: prune_order(call.history(), days=days, keep=keep), lambda found: call.answer(found, text)
    )


def _run(call: Call, found: KeptRunReport) -> str:
    from edgekit.cli.reports import rendered
    from edgekit.report.runs.listed import render_kept

    return rendered(found, render_kept, call.output)


def _shown(found: HistoryReport) -> str:
    from edgekit.report.formatting import at_sizes

    if not found.series:
        return f"'{found.file}' contains no runs yet."
    names = [one.name + at_sizes(one.last.sizes or {}) for one in found.series]
    shown = zip(names, found.series, strict=True)
    rows = [(name, str(one.runs), *_level(one), _place(one.last)) for name, one in shown]
    red = [line for one in found.series for line in _red(one)]
    accepted = [f"{one.created}  accepted: {', '.join(one.models)} ({one.why})" for one in found.accepted]
    return "\n".join([columns([("series", "runs", "last", "level", "change", "at"), *rows]), *red, *accepted])


def _red(one: Series) -> Iterator[str]:
    if one.red_since:
        yield f"{one.name}: red since {_place(one.red_since)}, until its level returns or is accepted"


def _level(one: Series) -> tuple[str, str, str]:
    change = "" if one.level is None else f"{100 * (one.last.value / one.level - 1):+.1f} %"
    return format_value(one.last.value, "s"), format_value(one.level, "s"), change


def _blamed(found: HistoryReport) -> Iterator[str]:
    from edgekit.report.formatting import at_sizes

    slow = [(one.name, one.slower) for one in found.series if one.slower]
    for name, step in slow:
        at = at_sizes(step.since.sizes or {})
        slower = f"{100 * step.size:+.1f} % since {_place(step.since)}"
        yield f"{name}{at}: {slower}; the last good run is {_place(step.before)}"
    if not slow:
        yield "No series became slower by more than its noise."


def _place(point: Point) -> str:
    return f"{point.created} {point.commit[:_COMMIT_LETTERS]}".strip()
