"""The pages of compare, check, tune and bisect: what a report promises, of every one of them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from tests.report.made_up import documents, series
from tests.report.made_up.documents import EVERY, every
from tests.report.made_up.page import Page
from tests.report.made_up.variants import HOSTILE
from tests.report.pages.test_page import check_structure

from edgekit.core.errors import UserError
from edgekit.core.reports.kept_pages import SeriesReport
from edgekit.report import formatting
from edgekit.report.plots import error_depth
from edgekit.report.registry import OTHERS, endings, write_document

MINUS = "\u2212"


def page_of(document: documents.Other, folder: Path) -> Page:
    write_document(document, folder / "page.html")
    return Page.of((folder / "page.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EVERY)
def test_a_page_keeps_the_promises_of_all_pages(name: str, tmp_path: Path) -> None:
    page = page_of(every(name), tmp_path)

    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    check_structure(page)
    assert len(ids) == len(set(ids))
    policy = next(one.attributes["content"] for one in page.all("meta") if "http-equiv" in one.attributes)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not [key for element in page.elements for key in element.attributes if key.startswith("on")]
    assert not {element.tag for element in page.elements} & {"script", "iframe", "object", "embed", "img", "form"}


@pytest.mark.parametrize("name", [name for name in EVERY if "hostile" in name])
def test_hostile_names_are_text(name: str, tmp_path: Path) -> None:
    page = page_of(every(name), tmp_path)

    assert page.text.count(formatting.clean(HOSTILE)) > 5
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", page.text)


@pytest.mark.parametrize("name", [name for name in EVERY if "plain" in name])
def test_no_column_is_all_dashes(name: str, tmp_path: Path) -> None:
    for table in page_of(every(name), tmp_path).tables():
        assert [head for head, cells in table.items() if cells and set(cells) <= {"–", ""}] == []


def test_all_pages_have_one_style_sheet(tmp_path: Path) -> None:
    sheets = {page_of(every(name), tmp_path).all("style")[0].text for name in EVERY}

    assert len(sheets) == 1


@pytest.mark.parametrize("command", OTHERS)
def test_an_ending_that_no_form_has_is_refused_with_the_known_ones(command: str, tmp_path: Path) -> None:
    made: list[documents.Other | SeriesReport] = [make() for make in documents.DOCUMENTS.values()]
    made.append(series.report(*series.COURSE))
    document = next(one for one in made if one.command == command)

    with pytest.raises(UserError) as caught:
        write_document(document, tmp_path / "x.pdf")

    assert all(ending in caught.value.message for ending in endings(command))
    for ending in endings(command):
        write_document(document, tmp_path / f"x{ending}")
        assert (tmp_path / f"x{ending}").stat().st_size > 100


def test_a_comparison_shows_change_files_and_every_call(tmp_path: Path) -> None:
    page = page_of(documents.comparison(), tmp_path)

    assert [one.text.strip() for one in page.all("h2")] == [
        "Latency of B against A",
        "Files",
        "Latency",
        "Reproduce this",
    ]
    assert "+5.1 %" in page.all("svg", " plot ")[0].text
    assert f"{MINUS}71.2 %" in page.text
    assert "B is slower in 1 of 2, inconclusive in 1 of 2 comparisons." in page.text


def test_what_has_no_ratio_has_no_dot_anywhere(tmp_path: Path) -> None:
    page = page_of(documents.comparison(), tmp_path)

    assert not [one for one in page.all("svg", " plot ") if "emulated" in one.text]


def test_a_check_shows_failures_first_and_what_was_measured(tmp_path: Path) -> None:
    page = page_of(documents.checked(), tmp_path)

    first = page.tables()[0]
    assert [cell.split()[0] for cell in first["2 verdict"]] == ["Fail", "Inconclusive", "Pass"]
    assert [one.text.strip() for one in page.all("h2")][:4] == [
        "Checks",
        "Against the baseline",
        "Artifacts",
        "Budgets",
    ]
    for artifact in ("digits/onnx-fp32", "digits/tflite-fp32"):
        assert artifact in page.all("table", " figures-table ")[0].text


def test_a_tuning_shows_the_choice_and_each_reason_once(tmp_path: Path) -> None:
    page = page_of(documents.tuned("no threads"), tmp_path)

    (chosen,) = page.all("tr", " chosen ")
    assert "no threads a" in chosen.text
    assert [one.text.strip() for one in page.all("h2")] == ["Candidates", "Excluded", "Reproduce this"]
    assert len(page.all("svg", " plot ")[0].text.split(";")) == 3


def test_a_bisection_shows_the_error_by_depth_in_decibels(tmp_path: Path) -> None:
    page = page_of(documents.bisected(), tmp_path)

    (picture,) = page.all("svg", " plot ")
    assert "first: conv 2" in picture.text
    assert "conv 1: -140 dB" in picture.text
    assert [cells for head, cells in page.tables()[0].items() if "error" in head] == [
        ["–", f"{MINUS}140 dB", f"{MINUS}6 dB", f"{MINUS}28 dB"]
    ]


@pytest.mark.parametrize(
    ("share", "expected"), [(1.0, 0.0), (0.1, -20.0), (0.0, -160.0), (1e-30, -160.0), (10.0, 20.0)]
)
def test_an_error_in_decibels_has_a_floor(share: float, expected: float) -> None:
    assert error_depth.decibels(share) == pytest.approx(expected)


def test_the_axis_of_errors_has_whole_steps_and_covers_the_limit() -> None:
    scale = error_depth._scale(documents.bisected().aligned)

    assert (scale.low, scale.high) == (-160.0, 0.0)
    assert error_depth._levels(scale) == [0, -20, -40, -60, -80, -100, -120, -140, -160]


def test_a_bisection_that_stops_says_where(tmp_path: Path) -> None:
    page = page_of(documents.refused("Reshape"), tmp_path)

    assert page.all("title")[0].text.startswith("Stops: ")
    assert "it stops at 'Reshape'" in page.text
    assert not page.all("table")


def test_documents_of_earlier_versions_have_a_page_without_their_command_line(tmp_path: Path) -> None:
    page = page_of(msgspec.structs.replace(documents.comparison(), reproduction=None, tools={}), tmp_path)

    assert not page.all("pre")
    assert "command edgekit compare" in page.text
