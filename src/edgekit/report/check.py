"""The result of `edgekit check` for people and for CI: a table, Markdown, JUnit XML, and formats of dashboards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edgekit.core.reports.check import Checked, CheckReport
from edgekit.core.verdict import Verdict
from edgekit.report import dashboards, formatting
from edgekit.report.junit import JunitCase, render_cases
from edgekit.report.markdown import code, prose
from edgekit.report.widths import print_table, say

_STYLES: Final = {
    Verdict.PASS: Style(color="green"),
    Verdict.FAIL: Style(color="red", bold=True),
    Verdict.INCONCLUSIVE: Style(color="yellow", bold=True),
    Verdict.INCOMPLETE: Style(color="yellow", bold=True),
}
_MARKS: Final = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔", Verdict.INCOMPLETE: "⏸️"}
_ORDER: Final = (Verdict.FAIL, Verdict.INCOMPLETE, Verdict.INCONCLUSIVE, Verdict.PASS)


def render(report: CheckReport, console: Console) -> None:
    """Print every result, failures first, and the verdict on the last line."""
    say(console, Text(f"edgekit check  {formatting.clean(report.config)}"))
    for series, results in _grouped(report).items():
        say(console, Text(""), Text(formatting.clean(series), style=Style(bold=True)))
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        # The check keeps its words together: what was found is long, and would take their place.
        longest = max(len(formatting.clean(one.check)) for one in results)
        table.add_column(overflow="fold", min_width=min(longest, console.width // 2))
        table.add_column(overflow="fold")
        for one in results:
            shown = Text(formatting.VERDICTS[one.verdict], style=_STYLES[one.verdict])
            table.add_row(shown, formatting.clean(one.check), formatting.clean(said(one)))
        print_table(console, table)
    for text in (*slower(report), *report.warnings):
        say(console, Text(""), Text(formatting.clean(text)))
    say(console, Text(""), Text(f"VERDICT: {_verdict(report)}", style=_STYLES[report.verdict]))


def render_markdown(report: CheckReport) -> str:
    """The result for a pull request or the summary of a CI step: what did not pass first, the rest folded."""
    open_, passed = _open(report), [one for one in report.results if one.verdict is Verdict.PASS]
    parts = [f"## {_MARKS[report.verdict]} edgekit check: {prose(_verdict(report))}"]
    if open_:
        parts.append(_table(open_))
    if passed:
        summary = f"<summary>{formatting.plural(len(passed), 'check')} passed</summary>"
        parts.append(f"<details>{summary}\n\n{_table(passed)}\n\n</details>")
    parts += [prose(text) for text in (*slower(report), *report.warnings)]
    return "\n\n".join(parts) + "\n"


def slower(report: CheckReport) -> Iterator[str]:
    """What is slower than in earlier runs: one sentence for all series that have one cause."""
    for event in report.events:
        named = f"The {event.cause} '{event.name}'"
        what = {"code": "The code", "unclear": "The code or a device"}.get(event.cause, named)
        count = "1 series" if len(event.series) == 1 else f"{len(event.series)} series"
        change = f"{100 * event.change:+.1f} %"
        yield f"{what} is slower since {event.since[:10]}: {change} in {count}. Seen on {event.evidence}."


def render_junit(report: CheckReport) -> str:
    """JUnit XML, one case per model, target and check; inconclusive ones are skipped unless the policy is `fail`."""
    return render_cases("edgekit check", _cases(report))


def _cases(report: CheckReport) -> Iterator[JunitCase]:
    for one in report.results:
        is_open = one.verdict is not Verdict.PASS
        verdict = Verdict.FAIL if is_open and _is_failure(one, report) else one.verdict
        suite = f"{one.model} on {one.target}"
        yield JunitCase(suite, one.artifact, one.check, verdict, said(one), report.config, one.line)


def render_annotations(report: CheckReport, file: str) -> str:
    """Workflow commands of GitHub Actions: an error or a warning for each result that did not pass, at its line.

    Args:
        file: The configuration, as seen from the root of the repository.
    """
    return "".join(f"{line}\n" for line in _annotations(report, file))


def _annotations(report: CheckReport, file: str) -> Iterator[str]:
    for one in _open(report):
        level = "error" if _is_failure(one, report) else "warning"
        title = f"edgekit: {one.series}"
        place = f"file={_property(file)},line={one.line},title={_property(title)}"
        yield f"::{level} {place}::{_message(f'{one.check}: {said(one)}')}"


def _message(text: str) -> str:
    """`text` as the message of a workflow command; a line break would end it and begin another one."""
    return formatting.clean(text).replace("%", "%25")


def _property(text: str) -> str:
    """`text` as a property of a workflow command, which a comma or two colons would end."""
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def render_code_quality(report: CheckReport) -> str:
    """A Code Quality report of GitLab: what did not pass, at its line of the configuration."""
    found = [
        {
            "description": formatting.clean(f"{one.series}, {one.check}: {said(one)}"),
            "check_name": f"edgekit-{one.kind}",
            "fingerprint": hashlib.sha256(one.key.encode("utf-8", "replace")).hexdigest(),
            "severity": "major" if _is_failure(one, report) else "minor",
            "location": {"path": formatting.clean(report.config), "lines": {"begin": one.line}},
        }
        for one in _open(report)
    ]
    return json.dumps(found, indent=1) + "\n"


def _open(report: CheckReport) -> list[Checked]:
    """What did not pass, failures first."""
    rows = sorted(report.results, key=lambda one: _ORDER.index(one.verdict))
    return [one for one in rows if one.verdict is not Verdict.PASS]


def _is_failure(one: Checked, report: CheckReport) -> bool:
    return one.verdict is Verdict.FAIL or report.policy == "fail"


def render_benchmark_action(report: CheckReport) -> str:
    """The latencies of every model, as github-action-benchmark reads them."""
    return dashboards.render_benchmark_action(*report.reports)


def render_bencher(report: CheckReport) -> str:
    """The latencies of every model in the format of Bencher."""
    return dashboards.render_bencher(*report.reports)


def _grouped(report: CheckReport) -> dict[str, list[Checked]]:
    found: dict[str, list[Checked]] = {}
    for one in sorted(report.results, key=lambda one: _ORDER.index(one.verdict)):
        found.setdefault(one.series, []).append(one)
    return found


def said(one: Checked) -> str:
    """The result in one sentence, with how often in a row it was undecided."""
    if one.verdict is Verdict.INCONCLUSIVE and one.in_a_row > 1:
        return f"{one.message} ({one.in_a_row} runs in a row)"
    return one.message


def _verdict(report: CheckReport) -> str:
    counts = counted(report)
    return formatting.VERDICTS[report.verdict] + (f" ({counts})" if counts else "")


def counted(report: CheckReport) -> str:
    """How many checks failed, and how many are undecided under which policy; empty if all passed."""
    failed = sum(one.verdict is Verdict.FAIL for one in report.results)
    counts = [f"{failed} of {formatting.plural(len(report.results), 'check')} failed"] if failed else []
    if report.inconclusive:
        counts.append(f"{len(report.inconclusive)} INCONCLUSIVE, policy '{report.policy}'")
    return ", ".join(counts)


def _table(results: list[Checked]) -> str:
    rows = [
        f"| {formatting.VERDICTS[one.verdict]} | {code(one.series)} | {code(one.check)} | {prose(said(one))} |"
        for one in results
    ]
    return "\n".join(["| | what | check | result |", "|---|---|---|---|", *(row.replace("\n", " ") for row in rows)])
