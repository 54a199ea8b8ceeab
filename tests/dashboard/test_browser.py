"""The pages in a real browser: no complaint, no foreign request, no sideways scrolling, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.dashboard.axe import require_axe, violations
from tests.dashboard.conftest import HOSTILE, Pages
from tests.dashboard.test_pages import PATHS
from tests.standins.chromium import Chromium, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTHS = (375, 768, 1280)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Everything that the keyboard reaches has a name that a screen reader reads.
NAMELESS = """[...document.querySelectorAll('a[href]:not([tabindex="-1"]), button, input, select, summary')].filter(
    one => !(one.textContent.trim() || one.labels?.[0]?.textContent.trim())).length"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.mark.parametrize(
    "path",
    ["/", "/trends", "/runs", "/runs/1", "/runs/16", "/compare?a=1&b=12", "/devices", f"/?model={quote(HOSTILE)}"],
)
def test_a_page_opens_quietly_and_never_scrolls_sideways(browser: Chromium, pages: Pages, path: str) -> None:
    opened = browser.open(pages.url.rstrip("/") + path)

    for dark in (False, True):
        opened.emulate(dark=dark)
        for width in WIDTHS:
            opened.resize(width)
            assert opened.evaluate(OVERFLOW) == 0
    assert opened.evaluate(NAMELESS) == 0
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    assert opened.problems == []
    assert all(address.startswith((pages.url, "data:")) for address in opened.requests)


def test_the_keyboard_reaches_the_content_first(browser: Chromium, pages: Pages) -> None:
    opened = browser.open(pages.url)
    for kind in ("keyDown", "keyUp"):
        opened.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)

    assert opened.evaluate("document.activeElement.getAttribute('href')") == "#content"


@pytest.mark.parametrize("path", [*PATHS, "/nowhere"])
def test_no_rule_of_accessible_pages_is_violated(browser: Chromium, pages: Pages, path: str) -> None:
    script = require_axe()
    opened = browser.open(pages.url.rstrip("/") + path)

    found = {dark: _violated(opened, script, dark=dark) for dark in (False, True)}

    assert found == {False: [], True: []}


def test_a_picture_without_a_text_is_a_violation(browser: Chromium, pages: Pages) -> None:
    opened = browser.open(pages.url)
    opened.evaluate("document.querySelector('main').append(document.createElement('img'))")

    assert any(one.startswith("image-alt (critical)") for one in violations(opened, require_axe()))


def _violated(page: Page, script: str, *, dark: bool) -> list[str]:
    page.emulate(dark=dark)
    return violations(page, script)
