"""Draws docs/pictures/rooms.svg, the rooms of docs/architecture.md.

python docs/pictures/rooms.py         write the picture
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

PICTURE: Final = Path(__file__).with_suffix(".svg")
WIDTH: Final = 960
MARGIN: Final = 20
GAP: Final = 14
BETWEEN: Final = 34
HEAD: Final = 50
ROOM: Final = 28
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


class House(NamedTuple):
    """A package: what it does, its share of the width, and its rooms, row by row; upper rows may import lower ones."""

    name: str
    does: str
    share: float
    rows: tuple[tuple[str, ...], ...]


# Houses of one row do not import each other.
ROWS: Final = (
    (House("cli", "parses a command line, calls one flow, prints, exits", 1, (("commands",),)),),
    (
        House(
            "flows",
            "one module per command: an order that is checked, opened, then run",
            1,
            (
                ("saliency",),
                ("judging", "writing", "deploying", "sweeping", "describing"),
                ("keeping",),
                ("measuring",),
                ("fleet", "calls"),
                ("opening",),
                ("reading", "signing"),
            ),
        ),
    ),
    (House("dashboard", "serves the pages of a store of runs", 1, ()),),
    (
        House("report", "draws core's reports", 0.2, (("runs",), ("pages",), ("matrices",), ("plots",))),
        House("store", "keeps reports", 0.15, (("migrations",), ("migrations/versions",))),
        House(
            "train",
            "models, data, training",
            0.23,
            (
                ("models", "fitting"),
                ("models/images",),
                ("models/objects",),
                ("models/audio",),
                ("models/sequences",),
                ("models/tables",),
                ("data/scenes", "qat"),
                ("data",),
            ),
        ),
        House(
            "export",
            "from a network to artifacts with parity",
            0.42,
            (
                ("mixing",),
                ("bisecting",),
                ("workers",),
                ("checking", "checking/tasks"),
                ("tflite",),
                ("onnx",),
                ("torch", "programs"),
                ("shapes", "graphs"),
            ),
        ),
    ),
    (
        House(
            "runtime",
            "opens an artifact and runs it, without PyTorch",
            0.5,
            (("sequences", "tasks"), ("backends", "portable")),
        ),
        House("devices", "reaches the machines that run artifacts", 0.5, (("web", "leasing"), ("remote", "fleet"))),
    ),
    (
        House(
            "core",
            "nouns, errors and pure functions",
            1,
            (
                ("reports",),
                ("reports/setup",),
                ("statistics", "processors"),
                ("spec",),
                ("system",),
                ("system/durable", "system/native", "system/confined"),
            ),
        ),
    ),
)


def picture() -> str:
    """The picture as SVG."""
    parts: list[str] = []
    top = MARGIN
    for number, houses in enumerate(ROWS):
        height = HEAD + ROOM * max(len(house.rows) for house in houses) + 8
        parts += _row(houses, top, height)
        top += height
        if number < len(ROWS) - 1:
            parts.append(_arrow(top))
            top += BETWEEN
    total = top + MARGIN
    return "\n".join((*_frame(total), *parts, "</svg>", ""))


def _frame(height: float) -> tuple[str, ...]:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" font-family="{_FONT}">',
        "<title>The rooms of edgekit: cli imports flows, flows import dashboard, report, store, train and export, "
        "dashboard imports report and store, train and export import runtime and devices, and all import core.</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    )


def _row(houses: Sequence[House], top: float, height: float) -> Iterator[str]:
    left = float(MARGIN)
    room = WIDTH - 2 * MARGIN - GAP * (len(houses) - 1)
    for house in houses:
        width = room * house.share
        yield from _house(house, left, top, width, height)
        left += width + GAP


def _house(house: House, left: float, top: float, width: float, height: float) -> Iterator[str]:
    yield _box(left, top, width, height, "#f4f6fa", "#5b6b8c", 8)
    yield _text(left + 12, top + 21, house.name, size=16, weight=600)
    yield _text(left + 12, top + 39, house.does, size=12, colour="#4a5568")
    for number, names in enumerate(house.rows):
        each = (width - 24 - 8 * (len(names) - 1)) / len(names)
        for place, name in enumerate(names):
            x, y = left + 12 + place * (each + 8), top + HEAD + number * ROOM
            yield _box(x, y, each, ROOM - 5, "#ffffff", "#b3bfd6", 4)
            yield _text(x + each / 2, y + 16, name, size=13, anchor="middle")


def _arrow(top: float) -> str:
    x = WIDTH / 2
    line = f'<path d="M{x:g} {top + 4:g} V{top + BETWEEN - 12:g}" stroke="#5b6b8c" stroke-width="2"/>'
    tip = f"M{x - 6:g} {top + BETWEEN - 13:g} h12 l-6 9 z"
    return f'{line}<path d="{tip}" fill="#5b6b8c"/>' + _text(x + 14, top + 21, "imports", size=12, colour="#4a5568")


def _box(left: float, top: float, width: float, height: float, fill: str, stroke: str, radius: int) -> str:
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="{radius}" fill="{fill}" '
        f'stroke="{stroke}"/>'
    )


def _text(
    x: float, y: float, text: str, *, size: int, weight: int = 400, colour: str = "#1a202c", anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
