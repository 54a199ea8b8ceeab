"""A comparison at 80 columns, and as Markdown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from edgekit.core.errors import UserError
from edgekit.core.reports.comparison import COMPARISON_SCHEMA, Compared, ComparisonReport
from edgekit.core.reports.report import Estimate
from edgekit.core.statistics.intervals import Direction
from edgekit.core.system import documents
from edgekit.core.verdict import Verdict
from edgekit.report.comparison import render, render_markdown
from edgekit.report.registry import write_document


def made(
    says: Direction = "slower", verdict: Verdict = Verdict.FAIL, ratio: Estimate | None = None
) -> ComparisonReport:
    pair = Compared(
        "pi5/onnxruntime@threads=4",
        "onnx-int8-static-u8s8",
        "onnx-int8-static-u8s8",
        ratio or Estimate(1.051, 1.042, 1.06, 8),
        0.011,
        says,
        ("governor: performance and powersave",),
        (1e-3,) * 8,
        (1.051e-3,) * 8,
        2,
    )
    return ComparisonReport(
        created="now", a="a|b.onnx", b="b.onnx", minimum_effect=0.03, pairs=(pair,), verdict=verdict
    )


def printed(report: ComparisonReport) -> str:
    buffer = io.StringIO()
    render(report, Console(file=buffer, width=80))
    return buffer.getvalue()


def test_the_table_has_ratio_interval_and_what_could_be_seen() -> None:
    text = printed(made())

    assert max(map(len, text.splitlines())) <= 80
    for part in ("1.00 ms", "1.05 ms", "+5.1 %", "+4.2 % .. +6.0 %", "slower", "VERDICT: FAIL"):
        assert part in text
    flat = " ".join(text.split())
    assert "detects 1.1 % in 80 % of cases (minimum effect 3.0 %)" in flat
    assert "2 pairs disturbed by other work and measured again; both are kept" in flat
    assert "A and B differ in governor: performance and powersave" in flat


def test_a_missing_ratio_says_why() -> None:
    ratio = Estimate(None, reason="emulated: not the latency of a device")

    text = printed(made("inconclusive", Verdict.INCONCLUSIVE, ratio))

    assert "no ratio, emulated" in text
    assert "VERDICT: INCONCLUSIVE" in text


def test_markdown_has_one_row_a_pair() -> None:
    text = render_markdown(made())

    assert text.startswith("## edgekit compare: FAIL\n")
    assert "| +5.1 % | +4.2 % .. +6.0 % | **slower** |" in text


def test_the_suffix_names_the_form(tmp_path: Path) -> None:
    for name in ("c.json", "c.md"):
        write_document(made(), tmp_path / name)

    assert documents.read(tmp_path / "c.json", ComparisonReport, newest=COMPARISON_SCHEMA) == made()
    assert (tmp_path / "c.md").read_text() == render_markdown(made())
    with pytest.raises(UserError, match=r"\.json, \.html, \.md"):
        write_document(made(), tmp_path / "c.txt")
