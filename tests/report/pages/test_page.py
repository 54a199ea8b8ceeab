"""What every page promises: order of headings, tables and pictures with names, and no empty columns or cards."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest
from tests.report.made_up import variants
from tests.report.made_up.factory import ARTIFACTS, LOCAL, PI, make_report
from tests.report.made_up.page import Page
from tests.report.made_up.variants import VARIANTS

from edgekit.core.reports.explain import Cause
from edgekit.core.reports.report import Report
from edgekit.core.reports.reproduction import Reproduction
from edgekit.report.pages.budget_matrix import budget_matrix
from edgekit.report.pages.html import render_html

replace = msgspec.structs.replace
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


def page_of(report: Report) -> Page:
    return Page.of(render_html(report))


def check_structure(page: Page) -> None:
    """The promises that hold for every page, whatever it shows."""
    levels = [HEADINGS.index(one.tag) + 1 for one in page.elements if one.tag in HEADINGS]
    assert levels[:1] == [1]
    assert levels.count(1) == 1
    assert [(a, b) for a, b in pairwise(levels) if b > a + 1] == []
    assert page.faults == []
    for picture in page.all("svg", " plot "):
        assert picture.attributes["role"] == "img"
        assert len(picture.attributes["aria-labelledby"].split()) == 2
    assert all(one.attributes.get("scope") in ("col", "row") for one in page.all("th"))
    for box in page.all("div", " scroll "):
        assert box.attributes["tabindex"] == "0"
        assert box.attributes["aria-label"]
    assert not page.all("script")
    assert not [one for one in page.elements if "style" in one.attributes]


@pytest.mark.parametrize("name", VARIANTS)
def test_headings_are_in_order_and_tables_and_pictures_have_names(name: str) -> None:
    check_structure(page_of(VARIANTS[name]()))


@pytest.mark.parametrize("name", [name for name in VARIANTS if "hostile" not in name])
def test_no_column_is_all_dashes_and_no_card_is_empty(name: str) -> None:
    page = page_of(VARIANTS[name]())

    for table in page.tables():
        assert [head for head, cells in table.items() if cells and set(cells) == {"–"}] == []
    assert [one for one in page.all("section", " card ") if not one.text.strip()] == []


def test_budgets_are_one_table_with_a_column_each() -> None:
    report = variants.failed()
    page = page_of(report)

    (table,) = page.all("table", " matrix ")
    heads = [one.text.strip() for one in page.all("code")]
    for budget in dict.fromkeys(check.budget for check in report.budgets):
        assert budget in table.text
        assert heads.count(budget) >= 1
    assert len(budget_matrix(report.budgets).rows) == len(ARTIFACTS) * 2


def test_equal_rows_of_a_matrix_are_merged_with_all_their_targets() -> None:
    sizes = [check for check in make_report().budgets if check.metric == "size"]

    matrix = budget_matrix(sizes)

    assert [(row.artifact, row.targets) for row in matrix.rows] == [(name, (LOCAL, PI)) for name in ARTIFACTS]


def test_a_budget_of_one_artifact_has_no_check_in_the_other_rows() -> None:
    report = make_report()
    scoped = replace(report.budgets[0], budget="onnx-fp32: load <= 1 s", artifact="onnx-fp32", target=LOCAL)

    matrix = budget_matrix((*report.budgets, scoped))

    places = [row.checks[-1] is not None for row in matrix.rows]
    assert places.count(True) == 1


def test_a_cause_of_several_rows_is_told_once_with_all_of_them() -> None:
    causes = tuple(
        Cause("busy neighbour", name, target, "other programs ran", (f"seen on {target}",), "edgekit profile")
        for target in (LOCAL, PI)
        for name in ("onnx-fp32", "tflite-fp32")
    )
    page = page_of(replace(make_report(), causes=causes))

    (card,) = [one for one in page.all("section", " card ") if "busy neighbour" in one.text]
    assert card.text.count("other programs ran") == 1
    assert card.text.count("edgekit profile") == 1
    for target in (LOCAL, PI):
        assert f"onnx-fp32, tflite-fp32 on {target}: seen on {target}" in " ".join(card.text.split())


def test_trust_tells_each_reason_once() -> None:
    report = make_report()
    worse = tuple(
        replace(one.trust, grade="C", reasons=("no governor", f"{one.artifact} varies")) for one in report.latency
    )
    found = replace(
        report, latency=tuple(replace(one, trust=trust) for one, trust in zip(report.latency, worse, strict=True))
    )
    cards = [one.text for one in page_of(found).all("section", " card ") if "no governor" in one.text]

    assert [card.count("no governor") for card in cards] == [1, 1]
    assert all(f"{name} varies ({name})" in " ".join(card.split()) for card in cards for name in ARTIFACTS)


def test_a_second_target_on_a_device_tells_only_what_differs() -> None:
    report = make_report()
    same = replace(report, facts={LOCAL: report.facts[LOCAL], PI: replace(report.facts[LOCAL], load=3.0)})

    second = [one.text for one in page_of(same).all("section", " card ") if "All other facts are those of" in one.text]

    assert len(second) == 1
    assert "load average 3.0" in " ".join(second[0].split())
    assert "processor" not in second[0]


@pytest.mark.parametrize("make", [make_report, variants.hostile], ids=["plain", "hostile"])
def test_a_report_says_how_to_make_it_again(make: Callable[[], Report]) -> None:
    arguments = ("build", "my net.py:Net", "--budget", "latency.p90 <= 8 ms", "--out", "it's $HOME", variants.HOSTILE)
    told = Reproduction(
        arguments=arguments,
        commit="0123abc",
        is_dirty=True,
        environment={"system": "Linux", "OMP_NUM_THREADS": "1"},
    )
    page = page_of(replace(make(), reproduction=told))

    (line,) = page.all("pre")
    assert line.text.startswith(
        "edgekit build 'my net.py:Net' --budget 'latency.p90 <= 8 ms' --out 'it'\"'\"'s $HOME' "
    )
    assert "0123abc with uncommitted changes" in page.text
    assert "OMP_NUM_THREADS 1" in page.text
    assert not page.all("script")
