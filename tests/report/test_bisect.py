"""A bisection reads well: the answer first, one bar a tensor, and nothing wider than a terminal."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.core.reports.bisect import Aligned, BisectReport, RefusedOperator
from edgekit.report.bisect import render_svg, render_text
from edgekit.report.registry import write_document


def aligned(name: str, error: float, *, within: bool = True) -> Aligned:
    return Aligned(
        name, name, "Conv", "CONV_2D", "body.0", error, error, "difference", error, 1e-4, within, error, ("w",)
    )


def bisection(*points: Aligned, first: int | None = None, most: int | None = None) -> BisectReport:
    return BisectReport(
        path="b", a="onnx-fp32", b="tflite-fp32", case="samples", runs=4, aligned=points, first=first, most=most
    )


def test_the_first_tensor_out_of_tolerance_is_marked() -> None:
    text = render_text(bisection(aligned("a", 1e-7), aligned("b<", 0.05, within=False), first=1, most=1))

    assert "first tensor out of tolerance is 'b<' (Conv, in B CONV_2D, module body.0)" in text
    assert "It reads w." in text
    assert text.count("< first") == 1
    assert all(len(line) <= 100 for line in text.splitlines())


def test_many_tensors_are_shortened_to_those_that_matter() -> None:
    text = render_text(bisection(*(aligned(f"t{place}", 1e-7) for place in range(400)), first=200))

    assert "t200 " in text
    assert len(text.splitlines()) < 100


def test_a_refusal_is_one_sentence() -> None:
    refusal = RefusedOperator("onnx-fp32", "view", "Reshape", "sizes do not match", ("shape",))
    found = BisectReport(path="b", a="torch", b="onnx-fp32", case="N=5", runs=1, aligned=(), refused=refusal)

    assert render_text(found).startswith("'onnx-fp32' cannot run case 'N=5': it stops at 'view' (Reshape).")


def test_the_picture_is_well_formed_and_escaped() -> None:
    root = ET.fromstring(render_svg(bisection(aligned("<a>&", 1e-3), aligned("b", 0.0))))

    assert len(root.findall("{http://www.w3.org/2000/svg}rect")) == 2


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not end"):
        write_document(bisection(), tmp_path / "x.pdf")
