"""Series of kept runs in a terminal and as one SVG file."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console
from tests.report.made_up.series import COURSE, point, report

from edgekit.core.reports.kept_pages import SeriesReport
from edgekit.report.runs.plotted import render, render_svg

SVG = "{http://www.w3.org/2000/svg}"


def printed(found: SeriesReport, columns: int) -> list[str]:
    buffer = io.StringIO()
    render(found, Console(file=buffer, width=columns))
    return buffer.getvalue().splitlines()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_run_further_to_the_right_is_slower_and_a_failed_one_has_a_mark_of_its_own(columns: int) -> None:
    title, head, *rows = printed(report(*COURSE), columns)

    places = [row.rindex("o") for row in rows[:2]] + [rows[2].rindex("x")]
    assert title == "kws: onnx-int8 on pi5"
    assert all(len(line) <= columns for line in (title, head, *rows))
    assert places[0] <= places[1] < places[2]
    assert all("-" in row[row.index("ms") :] for row in rows)
    assert head.split()[-4:] == ["1.96", "ms", "2.45", "ms"]
    assert ("commit" in head) == (columns >= 80)


def test_sizes_have_a_scale_of_their_own_and_a_run_without_a_median_has_no_place() -> None:
    lines = printed(report(point(1, 2e-3), point(2, None), point(3, 9e-3, batch=8)), 80)

    assert [line for line in lines if line.startswith("kws")] == [
        "kws: onnx-int8 on pi5",
        "kws: onnx-int8 on pi5 at N=8",
    ]
    assert "o" not in next(line for line in lines if line.startswith("  2"))[40:]


def test_nothing_that_fits_is_said() -> None:
    assert printed(report(), 80) == ["No measurement in 'runs.sqlite' fits."]


def test_the_file_is_whole_has_every_run_and_no_link() -> None:
    root = ET.fromstring(render_svg(report(*COURSE, point(4, 9e-3, batch=8))))

    titles = [one.text or "" for one in root.iter(f"{SVG}title")]
    assert root.tag == f"{SVG}svg"
    assert [one for one in titles if one.startswith("run ")] == [
        "run 1: 2.00 ms [1.96, 2.04] pass 2026-11-01 0000000000",
        "run 2: 2.01 ms [1.97, 2.05] pass 2026-11-02 0000000000",
        "run 3: 2.40 ms [2.35, 2.45] fail 2026-11-03 0000000000",
        "run 4: 9.00 ms [8.82, 9.18] measured 2026-11-04 0000000000",
    ]
    assert len(list(root.iter(f"{SVG}circle"))) == 5
    assert not list(root.iter(f"{SVG}a"))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\x1b[31mred", "a\nVERDICT: pass"])
def test_a_hostile_name_stays_text(name: str) -> None:
    root = ET.fromstring(render_svg(report(*COURSE, name=name)))

    assert not list(root.iter("script")) + list(root.iter(f"{SVG}script"))
    assert all(
        "\x1b" not in line and not line.startswith("VERDICT") for line in printed(report(*COURSE, name=name), 80)
    )
