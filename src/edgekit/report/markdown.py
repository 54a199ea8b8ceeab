"""The Markdown rendering, for a pull request or the summary of a CI step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from edgekit.core.reports.explain import CauseGroup, grouped
from edgekit.core.reports.report import Accuracy, BudgetCheck, Estimate, Report
from edgekit.core.spec.metric import drop_unit, metric_unit
from edgekit.core.units import ABSENT, format_value
from edgekit.report import formatting, rows, verdicts
from edgekit.report.plots import sustained, training

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#~!&])")


def render_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown; names are in code spans, so that nothing in them is markup."""
    parts = [_headline(report)]
    is_judged = not verdicts.is_measured(report)
    parts += [_target(target, is_judged=is_judged) for target in rows.targets(report)]
    parts += [f"{prose(samples)}." if (samples := rows.judged_on(report)) else ""]
    parts += [_whole_calls(report)]
    parts += [_section("Budgets", _budget_lines(report)), _section("Parity", _parity_lines(report))]
    parts += [_section("Not made", _failure_lines(report))]
    parts += [_section("Why", _why_lines(report)), _section("Under load", _load_lines(report))]
    parts += [_section("Training", [prose(training.sentence(report.training))] if report.training else [])]
    parts += [_section("Warnings", [prose(text) for text in rows.warnings(report)])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _whole_calls(report: Report) -> str:
    """What a call from a file to a prediction takes, and its parts, one row for each quantile."""
    found = rows.whole_calls(report)
    if not found:
        return ""
    titles = ["artifact", "target", "quantile", *found[0][1].columns]
    lines = [_line(titles), _line(["---", "---", "---", *(["---:"] * (len(titles) - 3))])]
    for latency, whole in found:
        for name in whole.whole:
            figures = [_figure(quantiles[name], "s") for quantiles in whole.columns.values()]
            lines.append(_line([code(latency.artifact), code(latency.target), prose(name), *figures]))
    begun = f"Each call began with {prose(report.input)}." if report.input else ""
    return "\n\n".join(part for part in ("### End to end", "\n".join(lines), begun) if part)


def _failure_lines(report: Report) -> list[str]:
    return [
        f"{', '.join(map(code, names))}: {prose(one.message)}{f' {code(one.hint)}' if one.hint else ''}"
        for one, names in rows.failures(report)
    ]


def _why_lines(report: Report) -> list[str]:
    causes = [
        f"**{prose(one.name)}**: {prose(one.says)} ({_places(one)}): {', '.join(map(code, one.commands))}"
        for one in grouped(report.causes)
    ]
    return causes + [f"not explained: {prose(text)}" for text in report.unexplained]


def _places(cause: CauseGroup) -> str:
    return "; ".join(f"{', '.join(map(code, place.artifacts))} on {code(place.target)}" for place in cause.places)


def _load_lines(report: Report) -> list[str]:
    return [f"{code(one.artifact)} on {code(one.target)}: {prose(sustained.sentence(one))}" for one in report.sustained]


def code(text: str) -> str:
    """`text` as a code span, whatever backticks it contains."""
    flat = formatting.clean(text) or " "
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    padding = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{padding}{flat}{padding}{fence}"


def prose(text: str) -> str:
    """`text` with all Markdown escaped; `@NAME` mentions no one and `#1` links nothing."""
    # A zero-width space keeps a forge from reading @NAME as a mention and #1 as a link.
    return re.sub(r"([@#])(?=\w)", "\\1\u200b", _SPECIAL.sub(r"\\\1", formatting.clean(text)))


def _headline(report: Report) -> str:
    name = report.spec.name if report.spec else report.bundle
    counted = ", ".join(f"{kind} {passed} of {total}" for kind, passed, total in rows.counts(report))
    title = f"## edgekit {prose(report.command)} {code(name)}: {verdicts.word(report)}"
    caveat = f"**{prose(report.spec.caveat)}**" if report.spec and report.spec.caveat else ""
    below = f"Passed: {counted}." if counted else ""
    if verdicts.is_measured(report):
        below = f"Measured {prose(verdicts.measured(report))}."
    return "\n\n".join(part for part in (title, caveat, below) if part)


def _target(target: rows.TargetView, *, is_judged: bool) -> str:
    outcome = _outcome(target) if is_judged else ""
    parts = [f"### {code(target.target)}" if target.target else "", outcome, _table(target)]
    parts += [
        f"Trust **{prose(trust.grade)}**: {'; '.join(map(prose, trust.reasons)) or 'no reservations'}."
        for trust, _ in target.trust
    ]
    return "\n\n".join(part for part in parts if part)


def _outcome(target: rows.TargetView) -> str:
    outcome = target.outcome
    if outcome is None:
        return ""
    chosen = f", chosen {code(outcome.chosen)}" if outcome.chosen else ""
    reason = f": {prose(outcome.reason)}" if outcome.reason else ""
    return f"**{formatting.VERDICTS[outcome.verdict]}**{chosen}{reason}"


def _table(target: rows.TargetView) -> str:
    if not target.rows:
        return ""
    metric = next((row.accuracy.metric for row in target.rows if row.accuracy), "")
    head = ["artifact", "size", "parity"] + [prose(metric), "drop"] * bool(metric)
    head += list(target.quantiles or ("latency",)) if target.has_latency else []
    head += ["instructions"] * target.has_instructions
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    return "\n".join(lines + [_line(_cells(row, target)) for row in target.rows])


def _cells(row: rows.Row, target: rows.TargetView) -> list[str]:
    sizes = f" {prose(formatting.sizes(row.latency.sizes))}" if row.latency and row.latency.sizes else ""
    cells = [
        f"{code(row.artifact)}{sizes}{' **chosen**' if row.is_chosen else ''}",
        _size(row),
        formatting.VERDICTS[row.parity] if row.parity else ABSENT,
    ]
    if target.has_accuracy:
        cells += _quality(row.accuracy)
    if target.has_latency:
        cells += [_latency(row, name) for name in target.quantiles or ("latency",)]
    if target.has_instructions:
        cells.append(formatting.instructions(row.instructions))
    return cells


def _size(row: rows.Row) -> str:
    size, share = format_value(row.made.size_bytes if row.made else None, "bytes"), formatting.quantized(row.made)
    return f"{size} ({share})" if share else size


def _quality(accuracy: Accuracy | None) -> list[str]:
    if accuracy is None:
        return [ABSENT, ABSENT]
    return [
        _figure(accuracy.quality, metric_unit(accuracy.metric)),
        _figure(accuracy.drop, drop_unit(accuracy.metric)),
    ]


def _latency(row: rows.Row, name: str) -> str:
    return rows.EMULATED if row.is_emulated else _figure(row.quantile(name), "s")


def _figure(estimate: Estimate, unit: str) -> str:
    """Value, interval and reason: `3.31 ms [3.28, 3.35]`."""
    reason = f"({prose(estimate.reason)})" if estimate.reason and estimate.value is None else ""
    between = prose(formatting.interval(estimate, unit))
    return " ".join(part for part in (formatting.quantity(estimate, unit), between, reason) if part)


def _budget_lines(report: Report) -> list[str]:
    return [
        f"**{formatting.VERDICTS[check.verdict]}** {code(text)}: {code(check.artifact)} on "
        f"{', '.join(map(code, where))}, {_judged(report, check)}"
        for text, checks in rows.budget_groups(report.budgets).items()
        for check, where in rows.merged(checks)
    ]


def _judged(report: Report, check: BudgetCheck) -> str:
    estimate = rows.judged(report, check)
    miss = formatting.beyond(check) if estimate.value is not None else ""
    return _figure(estimate, check.display_unit) + (f", {miss}" if miss else "")


def _parity_lines(report: Report) -> list[str]:
    return [
        f"**{formatting.VERDICTS[check.verdict]}** {code(check.artifact)} in {code(check.where)}: "
        f"{code(check.output)}, "
        + ", ".join(
            prose(part)
            for part in (check.case, formatting.parity_value(check), formatting.parity_sample(check), check.reason)
            if part
        )
        for check in rows.open_parity(report)
    ]


def _section(title: str, lines: Iterable[str]) -> str:
    listed = "\n".join(f"- {line}" for line in lines)
    return f"### {title}\n\n{listed}" if listed else ""


def _line(cells: Sequence[str]) -> str:
    """One row of a table, in which a pipe needs a backslash, even within code."""
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"
