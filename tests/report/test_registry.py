from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from tests.report.made_up import variants
from tests.report.made_up.factory import make_report
from tests.report.made_up.variants import VARIANTS

from edgekit.core.errors import DiskFull, UserError
from edgekit.core.reports.report import REPORT_SCHEMA, Report
from edgekit.core.system import documents
from edgekit.report.junit import render_junit
from edgekit.report.markdown import render_markdown
from edgekit.report.pages.html import render_html
from edgekit.report.registry import SUFFIXES, write_report

RENDER = {".html": render_html, ".md": render_markdown, ".xml": render_junit}


@pytest.mark.parametrize("suffix", [".html", ".md", ".xml", ".HTML"])
def test_the_suffix_chooses_the_rendering(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"

    write_report(make_report(), path)

    assert path.read_text(encoding="utf-8") == RENDER[suffix.lower()](make_report())


@pytest.mark.parametrize("name", VARIANTS)
def test_the_json_of_a_report_is_read_back_as_the_same_report(tmp_path: Path, name: str) -> None:
    report = VARIANTS[name]()

    write_report(report, tmp_path / "report.json")

    assert documents.read(tmp_path / "report.json", Report, newest=REPORT_SCHEMA) == report


@pytest.mark.parametrize("name", VARIANTS)
def test_the_json_of_a_report_keeps_the_schema(name: str) -> None:
    schema = msgspec.json.schema(Report)
    jsonschema.Draft202012Validator.check_schema(schema)

    document = json.loads(documents.encode(VARIANTS[name]()))

    jsonschema.Draft202012Validator(schema).validate(document)
    assert document["schema_version"] == REPORT_SCHEMA


@pytest.mark.parametrize(
    "change", [{"verdict": "maybe"}, {"latency": [{}]}, {"unknown": 1}, {"artifacts": None}], ids=str
)
def test_the_schema_refuses_what_is_no_report(change: dict[str, object]) -> None:
    document = json.loads(documents.encode(make_report())) | change

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(msgspec.json.schema(Report)).validate(document)


@pytest.mark.parametrize("name", ["report.htm", "report", "report.pdf", ".html"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"does not end in \.json, ") as caught:
        write_report(make_report(), tmp_path / name)

    assert all(suffix in caught.value.message for suffix in SUFFIXES)
    assert caught.value.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_half_report(tiny_disk: Path) -> None:
    with pytest.raises(DiskFull):
        write_report(variants.many(), tiny_disk / "report.html")

    assert not list(tiny_disk.iterdir())
