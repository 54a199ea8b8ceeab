"""A sweep for people: a table of combinations, and a sentence for each verdict on backend versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edgekit.core.reports.report import Estimate
from edgekit.core.reports.sweep import SweepReport, SweptCombination, VersionVerdict
from edgekit.core.units import ABSENT
from edgekit.core.verdict import Verdict
from edgekit.report import formatting
from edgekit.report.matrices.heat import median_of
from edgekit.report.widths import print_table, say

_STYLES: Final = {
    "slower": Style(color="red", bold=True),
    "inconclusive": Style(color="yellow", bold=True),
    "equal": Style(color="green"),
    "faster": Style(color="green"),
}
_NAME_WIDTH: Final = 28
_FIGURE: Final = re.compile(r"\d+(\.\d+)?")
_MEASURED: Final = "MEASURED: there are no backend versions to compare."


def render(report: SweepReport, console: Console) -> None:
    """Print every combination as a row, notes, the verdicts, and the overall verdict on the last line."""
    say(console, Text(f"edgekit sweep {formatting.clean(report.file)}"), Text(""))
    if report.combinations:
        print_table(console, _table(report))
    say(console, *(Text(line, style=Style(dim=True)) for line in (*notes(report), *_lacks(report))), indent=2)
    if report.verdicts:
        say(console, Text(""))
    for one in report.verdicts:
        say(console, Text(sentence(one, report.minimum_effect), style=_STYLES[one.compared.says]))
    say(console, Text(""), Text(f"VERDICT: {formatting.VERDICTS[report.verdict]}" if is_judged(report) else _MEASURED))


def is_judged(report: SweepReport) -> bool:
    """Whether there is a verdict: versions were compared, or something is wrong or missing."""
    return bool(report.verdicts) or report.verdict is not Verdict.PASS


def sentence(one: VersionVerdict, minimum_effect: float) -> str:
    """`net.onnx on local: onnxruntime==1.32.0 is 3.1 % [2.2, 4.0] slower than onnxruntime==1.31.1`."""
    found, ratio = one.compared, one.compared.ratio
    batch = f", batch {one.batch}" if one.batch > 1 else ""
    text = f"{name_of(one)} on {found.target}{batch}: {found.b}"
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return f"{text} against {found.a}: not compared, {ratio.reason}"
    if found.says in ("slower", "faster"):
        return f"{text} is {_percent(ratio, found.says)} {found.says} than {found.a}"
    changed = f"{100 * (ratio.value - 1):+.1f} % [{100 * (ratio.low - 1):+.1f}, {100 * (ratio.high - 1):+.1f}]"
    if found.says == "equal":
        return f"{text} is as fast as {found.a} within {100 * minimum_effect:g} %: {changed}"
    return f"{text}: no difference to {found.a} is shown: {changed}"


def notes(report: SweepReport) -> Iterator[str]:
    """What a reader must know besides the figures, one sentence each."""
    earlier = sum(one.earlier for one in report.combinations)
    yield f"{formatting.plural(report.launched, 'launch')} now, {earlier} from before, in {report.results}"
    for one in report.combinations:
        if one.is_wrong:
            yield f"{name_of(one)} in {one.engine or 'the installed version'} failed parity, so it has no latency."
    yield from _trust(report)
    if len(report.verdicts) > 1:
        yield (
            f"If all {len(report.verdicts)} pairs were equally fast, the chance that any is called faster or slower "
            f"is at most {100 * report.alpha:g} %."
        )


def _trust(report: SweepReport) -> Iterator[str]:
    """Each reason against trust with the number of its combinations, and what would raise it; figures may differ."""
    trusts = [one.latency.trust for one in report.combinations if one.latency]
    found: dict[str, list[str]] = {}
    for trust in trusts:
        for reason in trust.reasons:
            found.setdefault(_FIGURE.sub("#", reason), []).append(reason)
    for reasons in sorted(found.values(), key=len, reverse=True):
        example = "" if len(set(reasons)) == 1 else ", for example"
        of = f"{len(reasons)} of {formatting.plural(len(trusts), 'combination')}{example}"
        yield f"trust of {of}: {formatting.clean(reasons[0])}"
    if raised := dict.fromkeys(formatting.clean(trust.raise_by) for trust in trusts if trust.raise_by):
        yield f"To raise trust: {'; '.join(raised)}"


def _table(report: SweepReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=Style(dim=True))
    for title in ("model", "target", "batch", "backend", "median", "interval", "launches", "trust"):
        table.add_column(title, overflow="fold", justify="left" if title in ("model", "target", "backend") else "right")
    for one in report.combinations:
        median = median_of(one)
        table.add_row(
            formatting.shortened(name_of(one), _NAME_WIDTH),
            one.target,
            str(one.batch),
            backend_of(one),
            formatting.quantity(median, "s"),
            formatting.interval(median, "s"),
            str(one.launches),
            one.latency.trust.grade if one.latency else ABSENT,
        )
    return table


def _lacks(report: SweepReport) -> Iterator[str]:
    for lack in report.missing:
        batch = f", batch {lack.batch}" if lack.batch > 1 else ""
        yield f"{lack.artifact} on {lack.target}{batch}: {lack.reason}{f' Hint: {lack.hint}' if lack.hint else ''}"


def backend_of(one: SweptCombination) -> str:
    """The backend with the version that was launched."""
    return one.engine or (one.latency.engine if one.latency else ABSENT)


def name_of(one: SweptCombination | VersionVerdict) -> str:
    """The model and its artifact; a bare file is its only artifact."""
    name = one.model if PurePath(one.model).stem == one.artifact else f"{one.model} {one.artifact}"
    return formatting.clean(name)


def _percent(ratio: Estimate, says: str) -> str:
    """`3.1 % [2.2, 4.0]`: the change of the latency, positive for both directions."""
    assert ratio.value is not None
    assert ratio.low is not None
    assert ratio.high is not None
    sign = 1 if says == "slower" else -1
    low, high = sorted(100 * sign * (end - 1) for end in (ratio.low, ratio.high))
    return f"{100 * sign * (ratio.value - 1):.1f} % [{low:.1f}, {high:.1f}]"
