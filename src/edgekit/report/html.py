"""The HTML rendering: one self-contained file that runs no script and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from edgekit.core.recipe import RECIPES
from edgekit.core.reports.explain import together
from edgekit.core.reports.report import BudgetCheck, Estimate, Operators, Report
from edgekit.core.reports.sustained import Sustained
from edgekit.core.spec import drop_unit, metric_unit
from edgekit.core.system.optional import need
from edgekit.core.units import ABSENT, format_value
from edgekit.core.verdict import Verdict
from edgekit.report import facts, formatting, operator_times, rows, verdicts
from edgekit.report.operator_times import Kind, Single
from edgekit.report.plots import latency, sustained, svg, tradeoff, training

_MOST_SINGLE: Final = 20
WORDS: Final = {Verdict.PASS: "Pass", Verdict.FAIL: "Fail", Verdict.INCONCLUSIVE: "Inconclusive"}


@dataclass
class Notes:
    """Notes below a table, each once; `key` is unique on the page."""

    key: str
    texts: list[str] = field(default_factory=list)

    def number(self, text: str) -> int:
        """The number of a note, from 1."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def render_html(report: Report) -> str:
    """The page. Every text is escaped, and the content policy allows neither scripts nor requests.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    return str(_environment().get_template("report.html").render(**_context(report)))


def _context(report: Report) -> dict[str, Any]:
    targets = rows.targets(report)
    names = rows.artifact_names(report)
    style = _style()
    return {
        "report": report,
        "name": report.spec.name if report.spec else report.bundle or "report",
        "counts": verdicts.measured(report) if verdicts.is_measured(report) else _counted(report),
        "is_measured": verdicts.is_measured(report),
        "parity_failures": [check for check in rows.open_parity(report) if check.verdict is Verdict.FAIL],
        "failures": rows.failures(report),
        "targets": targets,
        "metric": next((entry.metric for entry in report.accuracy), "accuracy"),
        "detectable": _detectable(report),
        "tradeoffs": list(_tradeoffs(targets, names)),
        "budget_groups": rows.budget_groups(report.budgets),
        "merged": rows.merged,
        "nearest_misses": lambda target: rows.nearest_misses(report, target),
        "judge": lambda check: rows.judged(report, check),
        "gauge": _gauge,
        "pictures": list(_pictures(targets, names)),
        "causes": together(report.causes),
        "operators": list(_operators(report)),
        "sustained": list(_sustained(report, names)),
        "disturbed": list(_disturbed(targets)),
        "training": _training(report),
        "colour_of": lambda name: latency.colour(names, name),
        "open_parity": rows.open_parity(report),
        "devices": facts.devices(report, targets),
        "trust_words": facts.TRUST,
        "recipes": RECIPES,
        "warnings": rows.warnings(report),
        "style": _markup(style),
        "style_hash": f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}",
        "new_notes": Notes,
        "words": WORDS,
    }


@lru_cache(maxsize=1)
def _environment() -> Any:
    jinja2 = need("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgekit.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment


def _style() -> str:
    return files("edgekit.report").joinpath("templates", "report.css").read_text(encoding="utf-8")


def _markup(text: str) -> Any:
    return need("markupsafe", extra="report").Markup(text)


def _clean(value: Any) -> Any:
    """Texts without control characters; markup was cleaned where it was made."""
    return formatting.clean(value) if type(value) is str else value


def _pictures(
    targets: Sequence[rows.TargetView], names: Sequence[str]
) -> Iterator[tuple[rows.TargetView, latency.Picture | None, list[latency.Picture]]]:
    """Every measured target with the distribution over all artifacts and the calls of each."""
    for number, target in enumerate(targets):
        overview = latency.distribution(target, names, f"distribution-{number}")
        drawn = (latency.launches(row, names, f"calls-{number}-{place}") for place, row in enumerate(target.rows))
        rows = [_marked(picture) for picture in drawn if picture]
        if rows:
            yield target, _marked(overview) if overview else None, rows


def _operators(report: Report) -> Iterator[tuple[Operators, str, tuple[Kind, ...], tuple[Single, ...]]]:
    for found in report.operators:
        if found.times:
            together = operator_times.together(found, report.latency)
            yield found, together, operator_times.kinds(found), operator_times.slowest(found, _MOST_SINGLE)


def _sustained(report: Report, names: Sequence[str]) -> Iterator[tuple[Sustained, str, latency.Picture | None]]:
    for number, found in enumerate(report.sustained):
        picture = sustained.picture(found, names, f"sustained-{number}")
        yield found, sustained.sentence(found), _marked(picture) if picture else None


def _training(report: Report) -> dict[str, Any] | None:
    found = report.training
    if found is None:
        return None
    return {"result": training.sentence(found), "pictures": list(map(_marked, training.pictures(found, "training")))}


def _tradeoffs(targets: Sequence[rows.TargetView], names: Sequence[str]) -> Iterator[tuple[str, latency.Picture]]:
    for number, target in enumerate(targets):
        picture = tradeoff.picture(target, names, f"tradeoff-{number}")
        if picture:
            yield target.target, _marked(picture)


def _marked(picture: latency.Picture) -> latency.Picture:
    return latency.Picture(picture.title, picture.caption, _markup(picture.markup))


def _disturbed(targets: Sequence[rows.TargetView]) -> Iterator[str]:
    for target in targets:
        for row in target.rows:
            for place, launch in enumerate(row.measurement.launches if row.is_timed and row.measurement else ()):
                for note in launch.notes:
                    yield f"{row.artifact} on {target.target}, launch {place + 1}: {note}"


def _counted(report: Report) -> str:
    """`2 of 2 targets, 14 of 14 parity checks and 16 of 24 budget checks pass.`, or an empty text."""
    nouns = {"made": "recipe", "targets": "target", "parity": "parity check", "budgets": "budget check"}
    parts = [
        f"{passed} of {formatting.plural(total, nouns[kind])} {'passes' if total == 1 else 'pass'}"
        for kind, passed, total in rows.counts(report)
    ]
    return f"{', '.join(parts)}." if parts else ""


def _detectable(report: Report) -> str:
    """The samples of the quality, and the drop that they can show; empty if unknown."""
    found = [(entry.detectable, entry.metric) for entry in report.accuracy if entry.detectable is not None]
    judged = f"{on[:1].upper()}{on[1:]}." if (on := rows.judged_on(report)) else ""
    if not found:
        return judged
    smallest, largest = (format_value(value, drop_unit(metric)) for value, metric in (min(found), max(found)))
    size = smallest if smallest == largest else f"{smallest} ({largest} where predictions differ most)"
    return f"{judged} These samples can show a drop of {size} or more, but not a smaller one.".strip()


def _gauge(check: BudgetCheck, estimate: Estimate) -> Any:
    """The value against an upper limit, which is drawn at two thirds; a dash for other limits."""
    if estimate.value is None or estimate.value < 0 or check.limit <= 0 or not rows.is_upper_limit(check):
        return ABSENT
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
    return _markup(picture)


def _budgets_met(row: rows.Row) -> str:
    met = sum(check.verdict is Verdict.PASS for check in row.budgets)
    return f"{met} of {len(row.budgets)}" if row.budgets else ABSENT


def _moment(created: str) -> str:
    """`2026-03-02 09:41 UTC`; any other text stays unchanged."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of a nested record, names joined by dots; values stay on one line."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value)) or ABSENT
        else:
            yield f"{prefix}{name}", ABSENT if value is None else str(value)


def _signed(text: str) -> str:
    """With the minus sign of typography before numbers; exponents keep theirs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "\u2212", text)


_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "instructions": formatting.instructions,
    "rate": formatting.rate,
    "quantity": lambda estimate, unit: _signed(formatting.quantity(estimate, unit)),
    "interval": lambda estimate, unit: _signed(formatting.interval(estimate, unit)),
    "amount": lambda value, unit: _signed(format_value(value, unit)),
    "quality_unit": metric_unit,
    "drop_unit": drop_unit,
    "beyond": formatting.beyond,
    "parity_value": formatting.parity_value,
    "parity_sample": formatting.parity_sample,
    "quantized": formatting.quantized,
    "sizes": formatting.sizes,
    "plural": formatting.plural,
    "budgets_met": _budgets_met,
    "moment": _moment,
    "flat": lambda record: [pair for pair in _flat(record) if pair[0] != "recipe"],
}
