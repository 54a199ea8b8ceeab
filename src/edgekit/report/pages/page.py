"""What every page has in common: templates, filters, the style sheet and its content policy."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from edgekit.core.reports.report import Estimate
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.spec.metric import drop_unit, metric_unit
from edgekit.core.system.optional import need
from edgekit.core.units import ABSENT, format_value
from edgekit.core.verdict import Verdict
from edgekit.report import formatting
from edgekit.report.plots.latency import Picture
from edgekit.report.rows import Row, TargetView

WORDS: Final = {
    Verdict.PASS: "Pass",
    Verdict.FAIL: "Fail",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.INCOMPLETE: "Incomplete",
}


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


@dataclass(frozen=True)
class Head:
    """The top of a page: what it is about, its verdict as a word and as a style, and a sentence next to the word."""

    command: str
    created: str
    name: str
    word: str
    verdict: Verdict | None = None
    counts: str = ""
    place: str = ""


def render(
    template: str,
    head: Head,
    *,
    tools: Mapping[str, str],
    reproduction: Reproduction | None,
    more: Iterable[tuple[str, str]] = (),
    **context: Any,
) -> str:
    """The page that `template` makes of `context`. Every text is escaped, and the policy allows no script or request.

    Args:
        tools: Versions by name.
        reproduction: How to run the command again; None in documents of earlier versions.
        more: Further names and values about the run.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    text = style()
    page = {
        "head": head,
        "tools": tools,
        "reproduction": reproduction or Reproduction(),
        "more": list(more),
        "style": markup(text),
        "style_hash": style_hash(),
        "new_notes": Notes,
        "missing_times": _missing_times,
        "words": WORDS,
    }
    return str(environment().get_template(template).render(**page, **context))


def markup(text: str) -> Any:
    """`text` as HTML that is not escaped again."""
    return need("markupsafe", extra="report").Markup(text)


def marked(picture: Picture) -> Picture:
    """The picture with its SVG as HTML."""
    return Picture(picture.title, picture.caption, markup(picture.markup))


def signed(text: str) -> str:
    """With the minus sign of typography before numbers; exponents keep theirs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "\u2212", text)


@lru_cache(maxsize=1)
def environment() -> Any:
    """The templates of reports with their filters; MissingExtra as in `render`."""
    jinja2 = need("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgekit.report.pages", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment


def style() -> str:
    """The style sheet of every page."""
    return files("edgekit.report.pages").joinpath("templates", "report.css").read_text(encoding="utf-8")


def style_hash() -> str:
    """The style sheet as a content policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()}"


def _clean(value: Any) -> Any:
    """What is printed, as text without control characters; markup was cleaned where it was made."""
    return value if hasattr(value, "__html__") else formatting.clean(str(value))


def _budgets_met(row: Row) -> str:
    met = sum(check.verdict is Verdict.PASS for check in row.budgets)
    return f"{met} of {len(row.budgets)}" if row.budgets else ABSENT


def _missing_times(target: TargetView) -> dict[str, str]:
    """Quantiles that no artifact on this target has, with the reason of the first that was measured."""
    rows = [row for row in target.rows if row.is_timed]
    found = {name: [row.quantile(name) for row in rows] for name in target.quantiles}
    return {
        name: next((one.reason for one in estimates if one.reason), "not measured")
        for name, estimates in found.items()
        if all(one.value is None for one in estimates)
    }


def _moment(created: str) -> str:
    """`2026-03-02 09:41 UTC`; any other text stays unchanged."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of a nested record, names joined by dots; values stay on one line, absent ones are left out."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            if value:
                yield f"{prefix}{name}", ", ".join(map(str, value))
        elif value not in (None, ""):
            yield f"{prefix}{name}", str(value)


def _data_url(png: bytes) -> str:
    """The bytes of a png inside the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _own(record: Mapping[str, Any], tools: Mapping[str, str]) -> list[tuple[str, str]]:
    """How one artifact was made, without its name, and without versions that the whole report has."""
    told = {f"tools.{name}": version for name, version in tools.items()}
    return [(name, value) for name, value in _flat(record) if name != "recipe" and told.get(name) != value]


def _values(rows: Sequence[Any], path: str) -> Iterator[Any]:
    """The attribute `path`, such as `accuracy.quality`, of every row that has it."""
    for row in rows:
        value = row
        for name in path.split("."):
            value = getattr(value, name, None)
        if value is not None:
            yield value


def _known(rows: Sequence[Any], path: str) -> bool:
    """True if any row has a value there: a column of it is not all dashes."""
    return any(not isinstance(value, Estimate) or value.value is not None for value in _values(rows, path))


def _reasons(rows: Sequence[Any], path: str) -> list[str]:
    """Why the values there are missing, each reason once."""
    return list(dict.fromkeys(value.reason for value in _values(rows, path) if value.value is None and value.reason))


_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "instructions": formatting.instructions,
    "rate": formatting.rate,
    "quantity": lambda estimate, unit: signed(formatting.quantity(estimate, unit)),
    "interval": lambda estimate, unit: signed(formatting.interval(estimate, unit)),
    "amount": lambda value, unit: signed(format_value(value, unit)),
    "signed": signed,
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
    "known": _known,
    "reasons": _reasons,
    "own": _own,
    "data_url": _data_url,
}
