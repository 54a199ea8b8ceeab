"""The page about reports keeps up with the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.report.made_up.factory import make_report
from tests.report.made_up.page import Page

from edgekit.core.reports.report import Report
from edgekit.report.pages.html import render_html
from edgekit.report.registry import SUFFIXES


@pytest.fixture(scope="module")
def text() -> str:
    return (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", Report.__struct_fields__)
def test_every_field_of_the_json_is_described(text: str, field: str) -> None:
    assert f"`{field}`" in text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_rendering_is_described(text: str, suffix: str) -> None:
    assert f"| `{suffix}` |" in text


def test_every_section_of_the_page_is_described(text: str) -> None:
    sections = [heading.text.strip() for heading in Page.of(render_html(make_report())).all("h2")]

    assert len(sections) == 9
    assert [section for section in sections if section not in text] == []
