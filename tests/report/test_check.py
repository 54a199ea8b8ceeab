"""The result of a check in every form that CI reads."""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from rich.console import Console
from tests.report.made_up.factory import make_report

from edgekit.core.errors import UserError
from edgekit.core.reports.check import CHECK_SCHEMA, Checked, CheckReport
from edgekit.core.system import documents
from edgekit.core.verdict import Verdict
from edgekit.report import check
from edgekit.report.check import render, render_annotations, render_junit, render_markdown
from edgekit.report.dashboards import render_bencher, render_benchmark_action
from edgekit.report.registry import OTHERS, write_document, write_report


def result(verdict: Verdict, check: str, message: str = "1.20 ms [1.19, 1.21]", in_a_row: int = 0) -> Checked:
    return Checked(
        model="net",
        artifact="onnx-fp32",
        target="local",
        kind="budget",
        check=check,
        verdict=verdict,
        message=message,
        in_a_row=in_a_row,
    )


def made(policy: str = "pass", verdict: Verdict = Verdict.FAIL) -> CheckReport:
    results = (
        result(Verdict.PASS, "size <= 1 MB"),
        result(Verdict.INCONCLUSIVE, "not slower than a|b", "+1 % [-9 %, +12 %]", 3),
        result(Verdict.FAIL, "latency.p90 <= 1 ms"),
    )
    return CheckReport(
        created="now",
        config="edgekit.toml",
        commit="c0ffee",
        policy=policy,
        results=results,
        verdict=verdict,
        reports=(make_report(),),
    )


def test_the_terminal_shows_what_failed_first_and_counts_the_undecided() -> None:
    buffer = io.StringIO()

    render(made(), Console(file=buffer, width=80))

    text = buffer.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert text.index("latency.p90 <= 1 ms") < text.index("not slower") < text.index("size <= 1 MB")
    assert "VERDICT: FAIL (1 of 3 checks failed, 1 INCONCLUSIVE, policy 'pass')" in text
    assert "3 runs in a row" in " ".join(text.split())


def test_markdown_folds_what_passed() -> None:
    text = render_markdown(made())

    above, _, below = text.partition("<details>")
    assert "`latency.p90 <= 1 ms`" in above
    assert "a\\|b" in above or "a|b" in above
    assert "`size <= 1 MB`" in below


@pytest.mark.parametrize(("policy", "failures", "skipped"), [("pass", "1", "1"), ("fail", "2", "0")])
def test_junit_has_a_case_a_model_target_and_check(policy: str, failures: str, skipped: str) -> None:
    root = ElementTree.fromstring(render_junit(made(policy)))

    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("3", failures, skipped)
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert ("net on local.onnx-fp32", "latency.p90 <= 1 ms") in names
    assert {(case.get("file"), case.get("line")) for case in root.iter("testcase")} == {("edgekit.toml", "1")}


@pytest.mark.parametrize("ending", OTHERS["check"])
def test_the_name_of_a_file_asks_for_its_form(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"check{ending}"

    write_document(made(), path)

    module, _, function = OTHERS["check"][ending].partition(":")
    assert path.read_text(encoding="utf-8") == getattr(importlib.import_module(module), function)(made())


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    write_document(made(), tmp_path / "check.json")

    assert documents.read(tmp_path / "check.json", CheckReport, newest=CHECK_SCHEMA) == made()


HOSTILE = "net\n::error::owned\r\x1b[31m%0A::set-output name=a::b,c:d"


def hostile() -> CheckReport:
    """A failed check whose names try to be workflow commands of their own."""
    bad = msgspec.structs.replace(result(Verdict.FAIL, HOSTILE, HOSTILE), model=HOSTILE, line=7)
    return msgspec.structs.replace(made(), config=HOSTILE, results=(bad,), reports=())


def test_an_annotation_names_file_line_and_figure() -> None:
    lines = render_annotations(made(), "ci/edgekit.toml").splitlines()

    assert lines == [
        "::error file=ci/edgekit.toml,line=1,title=edgekit%3A net/onnx-fp32@local::"
        "latency.p90 <= 1 ms: 1.20 ms [1.19, 1.21]",
        "::warning file=ci/edgekit.toml,line=1,title=edgekit%3A net/onnx-fp32@local::"
        "not slower than a|b: +1 %25 [-9 %25, +12 %25] (3 runs in a row)",
    ]


def test_no_name_becomes_an_annotation_of_its_own() -> None:
    (line,) = render_annotations(hostile(), HOSTILE).splitlines()

    properties, _, message = line.removeprefix("::error ").partition("::")
    names = [part.partition("=")[0] for part in properties.split(",")]
    assert names == ["file", "line", "title"]
    assert not set("\r\n\x1b") & set(line)
    assert "%0A" not in message.replace("%250A", "")


def test_gitlab_gets_the_line_of_each_result_that_did_not_pass() -> None:
    found = json.loads(check.render_code_quality(made()))

    assert [one["severity"] for one in found] == ["major", "minor"]
    assert found[0]["location"] == {"path": "edgekit.toml", "lines": {"begin": 1}}
    assert "1.20 ms [1.19, 1.21]" in found[0]["description"]
    assert len({one["fingerprint"] for one in found}) == 2


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.bencher\.json"):
        write_document(made(), tmp_path / "check.txt")


def test_github_action_benchmark_gets_a_list_of_values_that_are_better_when_smaller() -> None:
    entries = json.loads(check.render_benchmark_action(made()))

    assert {frozenset(entry) for entry in entries} == {frozenset({"name", "unit", "value", "range", "extra"})}
    first = entries[0]
    assert (first["name"], first["unit"]) == ("digits/onnx-fp32@local N=1 p50", "ms")
    assert 0.1 < first["value"] < 0.2
    assert first["range"].startswith("± ")


def test_bencher_gets_nanoseconds_with_bounds() -> None:
    found = json.loads(check.render_bencher(made()))

    metric = found["digits/onnx-fp32@local N=1"]["latency"]
    assert metric["lower_value"] < metric["value"] < metric["upper_value"]
    assert 1e5 < metric["value"] < 2e5
    assert "latency-p90" in found["digits/onnx-fp32@local N=1"]


def test_reports_of_other_commands_have_the_dashboards_formats_too(tmp_path: Path) -> None:
    for ending in (".bencher.json", ".benchmark-action.json", ".json"):
        write_report(make_report(), tmp_path / f"latency{ending}")

    assert (tmp_path / "latency.bencher.json").read_text() == render_bencher(make_report())
    assert (tmp_path / "latency.benchmark-action.json").read_text() == render_benchmark_action(make_report())
    assert json.loads((tmp_path / "latency.json").read_text())["command"] == "build"
