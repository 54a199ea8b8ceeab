"""The terminal rendering: one table per target, notes on it, and one line with the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edgekit.core.measurement import Trust
from edgekit.core.reports.explain import grouped
from edgekit.core.reports.report import Accuracy, BudgetCheck, Estimate, Latency, Operators, Outcome, Report
from edgekit.core.reports.sustained import Sustained
from edgekit.core.spec.metric import drop_unit, metric_unit
from edgekit.core.units import ABSENT, format_value
from edgekit.core.verdict import Verdict
from edgekit.report import formatting, operator_times, rows, verdicts
from edgekit.report.plots import sustained
from edgekit.report.widths import print_table, say

QUANTILES: Final = ("p50", "p90")
_STYLES: Final = {
    Verdict.PASS: Style(color="green"),
    Verdict.FAIL: Style(color="red", bold=True),
    Verdict.INCONCLUSIVE: Style(color="yellow", bold=True),
    Verdict.INCOMPLETE: Style(color="yellow", bold=True),
}
_DIM: Final = Style(dim=True)
_BOLD: Final = Style(bold=True)
_RANGE: Final = "{}..{}"
_MAX_LISTED: Final = 10
_MAX_KINDS: Final = 8
_MOST_SINGLE: Final = 3
_NAME_WIDTH: Final = 30
# What continues a longer name is indented: no part of a name begins a line.
_FOLDED: Final = 40
_METRIC_WIDTH: Final = 18


def render(report: Report, console: Console) -> None:
    """Print `report`: every target, what did not pass, warnings, and the verdict on the last line.

    Lines are as wide as the console; names are printed unchanged, never as markup.
    """
    say(console, _heading(report))
    if report.spec and report.spec.caveat:
        say(console, Text(report.spec.caveat, style=_BOLD), indent=2)
    for target in rows.targets(report):
        _target(console, report, target)
    _whole_calls(console, report)
    _depths(console, report)
    _why(console, report)
    _parity(console, report)
    _failures(console, report)
    _warnings(console, report)
    say(console, Text(""), _verdict_line(report))


def _heading(report: Report) -> Text:
    model = report.spec.name if report.spec else report.bundle
    return Text.assemble(("edgekit ", _DIM), formatting.clean(report.command), " ", (formatting.clean(model), _BOLD))


def _target(console: Console, report: Report, target: rows.TargetView) -> None:
    if target.target:
        at = formatting.clean(formatting.at_sizes(target.sizes or {}))
        say(console, Text(""), Text.assemble((formatting.clean(target.target), _BOLD), at))
    if target.rows:
        print_table(console, _table(report, target))
    say(console, *_notes(target.rows), indent=2)
    if target.has_accuracy and (samples := rows.judged_on(report)):
        say(console, Text(formatting.clean(samples), style=_DIM), indent=2)
    _budgets(console, report, [check for row in target.artifacts for check in row.budgets])
    say(console, *(_trust_line(trust, names, target) for trust, names in target.trust), indent=2)
    if target.outcome and not verdicts.is_measured(report):
        say(console, _outcome_line(target.outcome), indent=2)


def _table(report: Report, target: rows.TargetView) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=_DIM)
    table.add_column(Text(f"artifact\n  {'parity' if report.parity else ''}"), overflow="fold", min_width=20)
    table.add_column(Text(f"size\n{'budgets' if report.budgets else ' '}"), justify="right", no_wrap=True)
    if target.has_accuracy:
        table.add_column(_quality_head(target.rows), justify="right", no_wrap=True)
    for name in _times(target):
        table.add_column(Text(f"{name}\ninterval"), justify="right", no_wrap=True)
    if target.has_instructions:
        table.add_column(Text("instructions\nper inference"), justify="right", no_wrap=True)
    for row in target.rows:
        table.add_row(*_cells(row, target))
    return table


def _cells(row: rows.Row, target: rows.TargetView) -> list[Text]:
    cells = [_name_cell(row, target), _size_cell(row)]
    if target.has_accuracy:
        cells.append(_quality_cell(row.accuracy))
    cells.extend(_latency_cell(row, name) for name in _times(target))
    if target.has_instructions:
        cells.append(Text(formatting.instructions(row.instructions)))
    return cells


def _times(target: rows.TargetView) -> tuple[str, ...]:
    """Quantiles that have a column: none where there is nothing but counted instructions."""
    is_counted = target.has_instructions and not target.timed
    return QUANTILES if target.has_latency and not is_counted else ()


def _name_cell(row: rows.Row, target: rows.TargetView) -> Text:
    """The name, then on lines of their own the parity verdict with the choice, and the sizes where they differ."""
    name = textwrap.wrap(formatting.clean(row.artifact), _FOLDED, subsequent_indent="  ") or [""]
    lines = [Text(part, style=_BOLD if row.is_chosen else "") for part in name]
    second = [_verdict(row.parity)] if row.parity else []
    second += [Text("chosen")] * row.is_chosen
    if second:
        lines.append(Text("  ") + Text(", ").join(second))
    if share := formatting.quantized(row.made):
        lines.append(Text(f"  {share}", style=_DIM))
    if row.latency and (target.sizes is None or len(target.rows) > len(target.artifacts)):
        found, phase = row.figure("throughput"), row.latency.phase
        rate = f", {formatting.rate(found)}/s" if found.value is not None and not phase else ""
        at = f"{phase} at {formatting.sizes(row.latency.sizes)}".lstrip()
        lines.append(Text(f"  {formatting.clean(at)}{rate}"))
    return Text("\n").join([*lines, *_rates(row)])


def _rates(row: rows.Row) -> Iterator[Text]:
    """What follows from the median latency for sounds and texts."""
    if (factor := row.figure("real_time_factor")).value is not None:
        yield Text(f"  real-time factor {formatting.quantity(factor, '1')}")
    if (rate := row.figure("token_rate")).value is not None:
        yield Text(f"  {formatting.rate(rate)} tokens/s {formatting.interval(rate, '1/s', form=_RANGE)}".rstrip())


def _size_cell(row: rows.Row) -> Text:
    size = Text(format_value(row.made.size_bytes if row.made else None, "bytes"))
    if not row.budgets:
        return size
    met = sum(check.verdict is Verdict.PASS for check in row.budgets)
    failed = any(check.verdict is Verdict.FAIL for check in row.budgets)
    return Text.assemble(size, "\n", (f"{met}/{len(row.budgets)}", _STYLES[Verdict.FAIL] if failed else ""))


def _quality_head(rows: Sequence[rows.Row]) -> Text:
    found = [row.accuracy for row in rows if row.accuracy]
    metric = found[0].metric
    unit = "drop, pt" if drop_unit(metric) == "points" else "drop"
    if all(map(_is_alone, found)):
        unit = "interval"
    return Text(f"{formatting.shortened(metric, _METRIC_WIDTH)}\n{unit}")


def _quality_cell(accuracy: Accuracy | None) -> Text:
    if accuracy is None:
        return Text(ABSENT)
    unit = drop_unit(accuracy.metric)
    quality = formatting.quantity(accuracy.quality, metric_unit(accuracy.metric))
    if _is_alone(accuracy):
        between = formatting.interval(accuracy.quality, metric_unit(accuracy.metric), form=_RANGE)
        return Text.assemble(quality, (f"\n{between}", _DIM))
    drop = formatting.quantity(accuracy.drop, unit).removesuffix(" pt")
    between = formatting.interval(accuracy.drop, unit, form=_RANGE)
    # Points fit on one line with their interval; errors have as many digits as they please.
    gap = ", " if unit == "points" else "\n"
    return Text.assemble(quality, "\n", drop, (f"{gap}{between}" if between else "", _DIM))


def _is_alone(accuracy: Accuracy) -> bool:
    """True for the metric of a file without a reference, from which it could drop."""
    return accuracy.quality.value is not None and accuracy.drop.value is None


def _latency_cell(row: rows.Row, quantile: str) -> Text:
    if row.is_emulated:
        return Text(rows.EMULATED, style=_DIM)
    return _quantity(row.quantile(quantile))


def _quantity(estimate: Estimate) -> Text:
    """A time, and below it its interval."""
    between = formatting.interval(estimate, "s", form=_RANGE)
    return Text.assemble(formatting.quantity(estimate, "s"), (f"\n{between}" if between else "", _DIM))


def _notes(rows: Sequence[rows.Row]) -> list[Text]:
    """Why a figure is missing, once for all artifacts it is missing for."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        for text in _missing(row):
            reasons.setdefault(text, []).append(formatting.clean(row.artifact))
    return [
        Text(text if len(names) == len(rows) else f"{text}: {', '.join(dict.fromkeys(names))}", style=_DIM)
        for text, names in reasons.items()
    ]


def _missing(row: rows.Row) -> list[str]:
    found = []
    if row.withheld == rows.FAILED_PARITY:
        found.append(rows.FAILED_PARITY)
    if row.accuracy and row.accuracy.quality.value is None and row.accuracy.drop.reason:
        found.append(f"no {formatting.clean(row.accuracy.metric)}, {formatting.clean(row.accuracy.drop.reason)}")
    for name in QUANTILES if row.is_timed else ():
        estimate = row.quantile(name)
        if estimate.value is None and estimate.reason:
            found.append(f"no {name}, {formatting.clean(estimate.reason)}")
    return found


def _budgets(console: Console, report: Report, checks: Sequence[BudgetCheck]) -> None:
    """Every check under the text of its budget, in columns that all budgets of a target share."""
    verdicts = max((len(formatting.VERDICTS[check.verdict]) for check in checks), default=0)
    names = min(max((len(formatting.clean(check.artifact)) for check in checks), default=0), _NAME_WIDTH)
    for text, group in rows.budget_groups(checks).items():
        say(console, Text(formatting.clean(text)), indent=2)
        for check in group:
            verdict = _verdict(check.verdict)
            verdict.pad_right(verdicts - len(verdict))
            name = formatting.clean(check.artifact).ljust(names)
            say(console, Text.assemble(verdict, "  ", name, "  ", _figure(report, check)), indent=4)


def _figure(report: Report, check: BudgetCheck) -> str:
    estimate, unit = rows.judged(report, check), check.display_unit
    if estimate.value is None:
        return formatting.clean(estimate.reason) or ABSENT
    figure = formatting.figure(estimate, unit)
    return ", ".join(part for part in (figure, formatting.beyond(check)) if part)


def _trust_line(trust: Trust, names: Sequence[str], target: rows.TargetView) -> Text:
    everywhere = len(target.trust) == 1
    of = "" if everywhere else f" ({', '.join(map(formatting.clean, names))})"
    reasons = "; ".join(map(formatting.clean, trust.reasons)) or "no reservations"
    raise_by = f" To raise it: {formatting.clean(trust.raise_by)}" if trust.raise_by else ""
    return Text.assemble("trust ", (formatting.clean(trust.grade), _BOLD), f"{of}: {reasons}.{raise_by}")


def _outcome_line(outcome: Outcome) -> Text:
    chosen = f", chosen {formatting.clean(outcome.chosen)}" if outcome.chosen else ""
    reason = f": {formatting.clean(outcome.reason)}" if outcome.reason else ""
    return Text.assemble("outcome ", _verdict(outcome.verdict), chosen, reason)


def _whole_calls(console: Console, report: Report) -> None:
    """What a call from a file to a prediction takes, and its parts."""
    for latency, whole in rows.whole_calls(report):
        say(console, Text(""), Text(f"End to end: {_where(latency)}", style=_BOLD))
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=_DIM)
        table.add_column(Text("\ninterval"), no_wrap=True)
        for title in whole.columns:
            table.add_column(Text(title), justify="right", no_wrap=True)
        for name in whole.whole:
            table.add_row(Text(name), *(_quantity(quantiles[name]) for quantiles in whole.columns.values()))
        print_table(console, table)
        reasons = (f"no {name}, {one.reason}" for name, one in whole.whole.items() if one.reason)
        say(console, *(Text(formatting.clean(text), style=_DIM) for text in reasons), indent=2)
    if rows.whole_calls(report) and report.input:
        say(console, Text(f"Each call began with {formatting.clean(report.input)}.", style=_DIM), indent=2)


def _depths(console: Console, report: Report) -> None:
    """Operators by type, and what sustained load did."""
    for found in report.operators:
        shown = operator_times.kinds(found)[:_MAX_KINDS]
        if not shown:
            continue
        say(console, Text(""), Text(f"Operators of {_where(found)}", style=_BOLD))
        say(console, Text(operator_times.together(found, report.latency)), indent=2)
        for kind in shown if found.seconds else ():
            figures = f"{kind.share:6.1%}  {format_value(kind.seconds, 's'):>8}"
            say(console, Text(f"{figures}  {kind.count} {formatting.clean(kind.name)}"), indent=2)
        names = [
            f"{formatting.clean(one.name)} ({formatting.clean(one.kind)}) {one.share:.1%}"
            for one in operator_times.slowest(found, _MOST_SINGLE)
        ]
        if names:
            say(console, Text(f"slowest: {', '.join(names)}"), indent=2)
    for load in report.sustained:
        say(console, Text(""), Text(f"Under load: {_where(load)}", style=_BOLD))
        say(console, Text(formatting.clean(sustained.sentence(load))), indent=2)


def _where(found: Latency | Operators | Sustained) -> str:
    sizes = f", {formatting.sizes(found.sizes)}" if found.sizes else ""
    return formatting.clean(f"{found.artifact} on {found.target}{sizes}")


def _why(console: Console, report: Report) -> None:
    """Causes of times that stand out, in short; 'explain' shows all of them whole."""
    if report.causes or report.unexplained:
        say(console, Text(""), Text("Why", style=_BOLD))
    for cause in grouped(report.causes)[:_MAX_LISTED]:
        where = "; ".join(f"{', '.join(place.artifacts)} on {place.target}" for place in cause.places)
        name = (formatting.clean(cause.name), _BOLD)
        say(console, Text.assemble(name, f": {formatting.clean(cause.says)} ({formatting.clean(where)})"), indent=2)
        say(console, *(Text(formatting.clean(command), style=_DIM) for command in cause.commands), indent=4)
    say(
        console,
        *(Text(f"not explained: {formatting.clean(text)}") for text in report.unexplained[:_MAX_LISTED]),
        indent=2,
    )


def _parity(console: Console, report: Report) -> None:
    left = rows.open_parity(report)
    if left:
        say(console, Text(""), Text("Parity", style=_BOLD))
    for check in left[:_MAX_LISTED]:
        parts = (
            check.output,
            check.case,
            formatting.parity_value(check),
            formatting.parity_sample(check),
            check.reason,
        )
        text = ", ".join(formatting.clean(part) for part in parts if part)
        where = f" {formatting.clean(check.artifact)} in {formatting.clean(check.where)}: "
        say(console, Text.assemble(_verdict(check.verdict), where, text), indent=2)
    if len(left) > _MAX_LISTED:
        say(console, Text(f"and {len(left) - _MAX_LISTED} more"), indent=2)


def _failures(console: Console, report: Report) -> None:
    """Recipes that could not be made, with the next command to run."""
    if report.failures:
        say(console, Text(""), Text("Not made", style=_BOLD))
    for one, names in rows.failures(report):
        head = f" {formatting.clean(', '.join(names))}: "
        say(console, Text.assemble(_verdict(Verdict.FAIL), head, formatting.clean(one.message)), indent=2)
        if one.hint:
            say(console, Text(formatting.clean(one.hint), style=_DIM), indent=4)


def _warnings(console: Console, report: Report) -> None:
    found = rows.warnings(report)
    if found:
        say(console, Text(""), Text("Warnings", style=_BOLD))
    say(console, *(Text(formatting.clean(text)) for text in found), indent=2)


def _verdict_line(report: Report) -> Text:
    if verdicts.is_measured(report):
        return Text.assemble(("MEASURED", _BOLD), f" {verdicts.measured(report)}.")
    counted = ", ".join(f"{kind} {passed} of {total}" for kind, passed, total in rows.counts(report))
    return Text.assemble("VERDICT: ", _verdict(report.verdict), f" ({counted})" if counted else "")


def _verdict(verdict: Verdict) -> Text:
    return Text(formatting.VERDICTS[verdict], style=_STYLES[verdict])
