from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.report.plots import label_placement, svg

RANGES = [(60e-6, 260e-6), (100e-6, 101e-6), (1e-6, 1.0), (0.97, 0.995), (68e-6, 180e-6), (1.0, 12.0)]


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("is_log", [True, False])
def test_ticks_are_round_few_and_far_enough_apart(low: float, high: float, is_log: bool) -> None:
    scale = svg.Scale(low, high, is_log)

    found = scale.ticks()

    assert 1 <= len(found) <= 5
    assert all(low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9) for value in found)
    assert all(scale.place(b) - scale.place(a) >= 0.17 for a, b in pairwise(found))
    assert all(len(f"{value:.3g}".rstrip("0")) <= 8 for value in found)


@given(st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=20))
def test_a_scale_covers_its_values_in_order(values: list[float]) -> None:
    scale = svg.Scale.around(values)

    places = [scale.place(value) for value in sorted(values)]

    assert all(0 < place < 1 for place in places)
    assert places == sorted(places)
    assert len(scale.ticks()) <= 5


def test_what_lies_outside_stands_at_the_edge() -> None:
    scale = svg.Scale(1.0, 10.0)

    assert (scale.place(0.1), scale.place(100.0)) == (0.0, 1.0)


def test_an_attribute_cannot_end_its_quotes() -> None:
    assert svg.element("g", class_='a" onload="x') == '<g class="a&quot; onload=&quot;x"/>'
    assert svg.text("</text><script>", "0", 1) == '<text x="0" y="1">&lt;/text&gt;&lt;script&gt;</text>'


def test_dots_that_coincide_are_drawn_once() -> None:
    drawn = svg.dots([(1, 1), (1.2, 0.9), (5, 1)], "dots")

    assert drawn == '<path d="M1 1h0M5 1h0" class="dots"/>'


def test_a_staircase_ends_where_its_points_end() -> None:
    drawn = svg.steps([(0, 1000), (100, 500), (250.4, 0)], "curve")

    moves = re.findall(r"([hv])(-?\d+)", drawn)
    assert drawn.startswith('<path d="M0 1000')
    assert sum(int(size) for kind, size in moves if kind == "h") == 250
    assert sum(int(size) for kind, size in moves if kind == "v") == -1000


def test_names_beside_dots_cover_neither_dots_nor_each_other() -> None:
    dots = [
        label_placement.Dot("onnx-int8-static-u8s8", 0.12, 60.0, 6.0),
        label_placement.Dot("tflite-int8-static", 0.38, 75.0, 6.0),
        label_placement.Dot("onnx-fp32", 0.6, 40.0, 11.0),
        label_placement.Dot("tflite-fp32", 0.9, 40.0, 11.0),
    ]

    placed = label_placement.place(dots, 220.0)

    boxes = [_box(dot, label, 520.0) for dot, label in zip(dots, placed, strict=True)]
    assert not [(a, b) for index, a in enumerate(boxes) for b in boxes[index + 1 :] if _overlap(a, b)]
    assert all(box[0] >= 0 and box[2] <= 520 for box in boxes)


def _box(dot: label_placement.Dot, label: label_placement.Label, width: float) -> tuple[float, float, float, float]:
    near = dot.x * width + label.dx
    far = near + (6.5 if label.dx > 0 else -6.5) * len(dot.name)
    return min(near, far), label.y - 6, max(near, far), label.y + 6


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


@pytest.mark.parametrize(
    ("body", "role"),
    [
        ([svg.element("circle", r=3)], "img"),
        ([svg.element("a", svg.element("circle", r=3), href="/runs/1")], "group"),
    ],
)
def test_screen_readers_reach_the_links_of_a_picture(body: list[str], role: str) -> None:
    drawn = svg.picture(iter(body), height=10, title="t", description="d", key="k")

    assert f'role="{role}"' in drawn
    assert body[0] in drawn
