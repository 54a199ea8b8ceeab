"""The table of sources says what was found, and the kinds whose packages are here still pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.sources.source_kinds import KINDS, PAGE, Kind, page, prepare, read_rows, run, runnable


def test_the_page_contains_the_table_of_the_rows() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == page(text, read_rows())


def test_eight_kinds_of_the_three_libraries_pass_without_a_network() -> None:
    rows = read_rows()

    assert len(rows) >= 8
    assert [row.name for row in rows] == [kind.name for kind in KINDS]
    assert [row.name for row in rows if row.exit_code or row.verdict != "pass" or not row.without_network] == []
    assert {kind.package for kind in KINDS} == {"", "torchvision", "timm", "transformers"}
    assert all(row.artifacts == ("onnx-fp32", "tflite-fp32") for row in rows)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    prepare(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_whose_package_is_here_passes(kind: Kind, prepared: Path) -> None:
    if not runnable(kind):
        pytest.skip(f"no {kind.package} here; python -m benchmarks.sources --setup DIR makes a Python that has it")

    row = run(kind, prepared, "onnx-fp32")

    assert (row.exit_code, row.verdict) == (0, "pass"), row.message
    known = {one.name: one for one in read_rows()}[kind.name]
    assert (row.inputs, row.preprocessing, row.labels, row.untrained) == (
        known.inputs,
        known.preprocessing,
        known.labels,
        known.untrained,
    )
