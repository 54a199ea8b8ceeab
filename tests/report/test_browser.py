"""The page in a real browser: no complaint, no request, no sideways scrolling, and it prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.report.made_up.documents import EVERY, every
from tests.report.made_up.factory import make_report
from tests.report.made_up.variants import VARIANTS
from tests.standins.chromium import Chromium

from edgekit.report.pages.html import render_html
from edgekit.report.registry import write_document, write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTHS = (375, 1280)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Texts that stick out of the page and are not inside something that scrolls or clips them.
STICKING_OUT = """[...document.querySelectorAll('h1, h2, h3, h4, p, li, dt, dd, th, td, summary')].filter(
    one => one.getClientRects().length && one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll')
).map(one => one.textContent.slice(0, 40))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write_report(make_report(), path)
    return path


@pytest.mark.parametrize("name", [*VARIANTS, *EVERY])
def test_a_page_opens_quietly_and_never_scrolls_sideways(browser: Chromium, tmp_path: Path, name: str) -> None:
    path = tmp_path / "report.html"
    if name in EVERY:
        write_document(every(name), path)
    else:
        write_report(VARIANTS[name](), path)

    opened = browser.open(path.as_uri())

    for dark in (False, True):
        opened.emulate(dark=dark)
        for width in WIDTHS:
            opened.resize(width)
            assert opened.evaluate(OVERFLOW) == 0
            assert opened.evaluate(STICKING_OUT) == []
    assert opened.requests == [path.as_uri()]
    assert opened.problems == []


def test_every_picture_is_drawn_within_the_page_at_both_widths(browser: Chromium, page: Path) -> None:
    opened = browser.open(page.as_uri())

    for width in WIDTHS:
        opened.resize(width)
        drawn = opened.evaluate(
            """[...document.querySelectorAll('svg.plot')].map(one => one.getBoundingClientRect())
               .map(box => [box.left, box.right, box.height])"""
        )
        assert len(drawn) == 12
        assert all(0 <= left < right <= width and height > 100 for left, right, height in drawn)


def test_dots_stand_where_the_axis_says(browser: Chromium, page: Path) -> None:
    """The mean of the medians, on a logarithmic axis, is the middle of their interval: both are drawn apart."""
    opened = browser.open(page.as_uri())
    places = """[...document.querySelectorAll('.calls svg.plot')].map(plot => {
        const middle = one => { const box = one.getBoundingClientRect(); return (box.left + box.right) / 2; };
        const medians = [...plot.querySelectorAll('.median')].map(middle);
        return middle(plot.querySelector('.band')) - medians.reduce((a, b) => a + b) / medians.length;
    })"""

    for width in WIDTHS:
        opened.resize(width)
        off = opened.evaluate(places)
        assert len(off) == 8
        assert max(map(abs, off)) < 1


def test_labels_of_pictures_are_as_large_on_a_phone(browser: Chromium, page: Path) -> None:
    opened = browser.open(page.as_uri())
    heights = "[...document.querySelectorAll('svg.plot .tick')].map(one => one.getBoundingClientRect().height)"

    wide = opened.evaluate(heights)
    opened.resize(375)

    assert min(wide) > 10
    assert opened.evaluate(heights) == wide


def test_a_phone_shows_rows_as_cards_with_labels(browser: Chromium, page: Path) -> None:
    opened = browser.open(page.as_uri(), width=375)
    label = "getComputedStyle(document.querySelector('td[data-label=p90]'), '::before').content"

    on_phone = opened.evaluate(label)
    opened.resize(1280)

    assert on_phone == '"p90"'
    assert opened.evaluate(label) in ("none", "normal")


def test_dark_and_light_are_two_looks_of_the_same_page(browser: Chromium, page: Path) -> None:
    opened = browser.open(page.as_uri())
    ground = "getComputedStyle(document.body).backgroundColor"

    light = opened.evaluate(ground)
    opened.emulate(dark=True)

    assert light == "rgb(253, 253, 251)"
    assert opened.evaluate(ground) == "rgb(21, 23, 26)"


def test_it_prints_light_and_with_everything_unfolded(browser: Chromium, page: Path) -> None:
    opened = browser.open(page.as_uri(), dark=True)
    folded = "[...document.querySelectorAll('details table')].filter(one => one.checkVisibility()).length"

    on_screen = opened.evaluate(folded)
    opened.emulate(dark=True, media="print")
    printed = opened.evaluate(folded)
    pdf = opened.pdf()

    assert on_screen == 0
    assert printed == 3
    assert opened.evaluate("getComputedStyle(document.body).color") == "rgb(27, 29, 32)"
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") > 3


def test_a_screenshot_is_taken_of_the_whole_page(browser: Chromium, page: Path) -> None:
    opened = browser.open(page.as_uri(), width=375)

    png = opened.screenshot()

    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    assert png.startswith(b"\x89PNG")
    assert width == 375
    assert height > 3000


@pytest.mark.parametrize(
    "planted",
    [
        "<script>document.title = 'changed'</script>",
        "<img src='http://127.0.0.1:9/x.png'>",
        "<p style='color: red'>x</p>",
    ],
    ids=["script", "request", "style"],
)
def test_the_policy_of_the_page_stops_what_is_planted_in_it(browser: Chromium, tmp_path: Path, planted: str) -> None:
    path = tmp_path / "planted.html"
    path.write_text(render_html(make_report()).replace("</main>", f"{planted}</main>"), encoding="utf-8")

    opened = browser.open(path.as_uri())

    assert any("Content Security Policy" in problem for problem in opened.problems)
    assert opened.evaluate("document.title") != "changed"


def test_without_the_policy_a_planted_request_is_seen(browser: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "planted.html"
    path.write_text("<!doctype html><img src='http://127.0.0.1:9/x.png'>", encoding="utf-8")

    opened = browser.open(path.as_uri())

    assert "http://127.0.0.1:9/x.png" in opened.requests
    assert opened.problems
