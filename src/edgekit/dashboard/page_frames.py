"""What every page has: the frame with its navigation, the filter, the style sheet."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

import jinja2

from edgekit.core.reports.kept_pages import PageFilter
from edgekit.report.pages import page

_PAGES: Final = (("/", "Overview"), ("/trends", "Trends"), ("/runs", "Runs"), ("/devices", "Devices"))
Names = tuple[tuple[str, ...], ...]
"""The models, targets, artifacts, branches and backend versions that a filter offers."""


def render(template: str, title: str, *, here: str = "", **context: Any) -> str:
    """A whole page. Every text is escaped.

    Args:
        here: The address in the navigation that the page belongs to.
    """
    return str(
        _environment().get_template(template).render(title=title, here=here, pages=_PAGES, words=page.WORDS, **context)
    )


def choices(shown: PageFilter, names: Names) -> list[tuple[str, str, list[str]]]:
    """The fields of the filter: name, chosen value, values; what was chosen is offered even if nothing has it."""
    found = []
    for name, known in zip(PageFilter.__struct_fields__, names, strict=True):
        chosen = getattr(shown, name)
        found.append((name, chosen, [*known, *([chosen] if chosen and chosen not in known else [])]))
    return found


def address(path: str, **asked: object) -> str:
    """A path with what is asked there; empty values are left out."""
    query = urlencode({name: value for name, value in asked.items() if value not in ("", None)})
    return f"{path}?{query}" if query else path


@lru_cache(maxsize=1)
def style_sheet() -> str:
    """The style sheet of reports, and that of these pages."""
    own = files("edgekit.dashboard").joinpath("templates", "dashboard.css").read_text(encoding="utf-8")
    return page.style() + own


@lru_cache(maxsize=1)
def _environment() -> Any:
    places = ("edgekit.dashboard", "edgekit.report.pages")
    loader = jinja2.ChoiceLoader([jinja2.PackageLoader(place, "templates") for place in places])
    return page.environment().overlay(loader=loader)
