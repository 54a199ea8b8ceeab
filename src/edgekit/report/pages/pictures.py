"""The pictures that several pages show, ready for a template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.core.reports.report import BudgetCheck, Estimate
from edgekit.report import rows
from edgekit.report.pages.page import marked, markup
from edgekit.report.plots import latency, svg
from edgekit.report.plots.latency import Picture

Calls = tuple[str, tuple[str, ...], Picture | None, list[Picture]]
"""The name of a target, its timed artifacts, the distribution over all of them, and the calls of each."""


def calls(targets: Sequence[rows.TargetView], names: Sequence[str], key: str) -> list[Calls]:
    """Every measured target; `key` is unique on the page."""
    found = []
    for number, target in enumerate(targets):
        overview = latency.distribution(target, names, f"{key}-{number}")
        drawn = (latency.launches(row, names, f"{key}-{number}-{place}") for place, row in enumerate(target.rows))
        pictures = [marked(picture) for picture in drawn if picture]
        if pictures:
            found.append((target.target, target.timed, marked(overview) if overview else None, pictures))
    return found


def disturbed(targets: Sequence[rows.TargetView]) -> list[str]:
    """What is known of launches that other work disturbed, a sentence each."""
    return [
        f"{row.artifact} on {target.target}, launch {place + 1}: {note}"
        for target in targets
        for row in target.rows
        for place, launch in enumerate(row.measurement.launches if row.is_timed and row.measurement else ())
        for note in launch.notes
    ]


def gauge(check: BudgetCheck, estimate: Estimate) -> Any:
    """The value against an upper limit, which is drawn at two thirds; empty for other limits."""
    if estimate.value is None or estimate.value < 0 or check.limit <= 0 or not rows.is_upper_limit(check):
        return ""
    share = min(estimate.value / check.limit / 1.5, 1.0)
    label = f"{estimate.value / check.limit:.0%} of the limit"
    picture = svg.element(
        "svg",
        svg.element("title", label),
        svg.element("rect", width="100%", height="12"),
        svg.element("rect", width=f"{100 * share:.1f}%", height="8", y="2", class_=check.verdict.value),
        svg.element("line", x1="66.7%", x2="66.7%", y1="0", y2="12", class_="limit"),
        class_="gauge",
        role="img",
        aria_label=label,
    )
    return markup(picture)
