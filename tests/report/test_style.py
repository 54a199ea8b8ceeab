"""The colours of the page, read from its style sheet: text can be read, dots can be told from paper."""

from __future__ import annotations

import re

import pytest

from edgekit.report.pages.page import style

TEXT = ("ink", "soft", "pass", "fail", "inconclusive", "link")
GROUNDS = ("paper", "pass-tint", "fail-tint", "inconclusive-tint")
# Names in the trade-off picture are written in the colour of their dot.
NAMES = tuple(f"c{number}" for number in range(8))


def colours() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{([^}]*)\}", style())
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block)) for name, block in (("light", light), ("dark", dark))
    }


def contrast(first: str, second: str) -> float:
    """Contrast ratio of WCAG 2.2, from 1 to 21."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_every_ground_it_stands_on(scheme: str) -> None:
    found = colours()[scheme]

    ratios = {(text, ground): contrast(found[text], found[ground]) for text in TEXT for ground in GROUNDS}

    # A verdict's colour stands on paper, on its own tint and on that of the chosen row; all pairs are held to it.
    assert {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_and_dots_stand_out_from_the_paper(scheme: str) -> None:
    found = colours()[scheme]

    assert {name for name in NAMES if contrast(found[name], found["paper"]) < 4.5} == set()
    assert contrast(found["warm"], found["paper"]) >= 3


def test_both_schemes_name_the_same_colours() -> None:
    found = colours()

    assert found["light"].keys() == found["dark"].keys()
    assert set(re.findall(r"var\(--([\w-]+)\)", style())) <= found["light"].keys() | {"band"}
