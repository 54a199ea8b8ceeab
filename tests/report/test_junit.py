from __future__ import annotations

from xml.etree import ElementTree

import pytest
from tests.report.made_up import variants
from tests.report.made_up.factory import LOCAL, make_report
from tests.report.made_up.variants import VARIANTS

from edgekit.core.reports.report import Report
from edgekit.core.verdict import Verdict
from edgekit.report.junit import render_junit


def suites_of(report: Report) -> ElementTree.Element:
    return ElementTree.fromstring(render_junit(report).encode())


def test_there_is_one_case_for_each_check_each_outcome_and_the_verdict() -> None:
    report = make_report()

    found = suites_of(report).findall(".//testcase")

    assert len(found) == len(report.parity) + len(report.budgets) + len(report.outcomes) + 1
    named = [(case.get("classname"), case.get("name")) for case in found]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("name", VARIANTS)
def test_failures_are_there_exactly_when_the_report_failed(name: str) -> None:
    report = VARIANTS[name]()

    failures = suites_of(report).findall(".//failure")

    assert bool(failures) == (report.verdict is Verdict.FAIL)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_counts_are_those_of_the_cases(name: str) -> None:
    root = suites_of(VARIANTS[name]())

    for element in (root, *root.findall("testsuite")):
        for attribute, path in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
            assert int(element.get(attribute, "")) == len(element.findall(f".//{path}"))


def test_a_missed_budget_of_an_artifact_that_was_not_chosen_is_skipped() -> None:
    root = suites_of(make_report())

    case = root.find(f".//testcase[@classname='{LOCAL}.onnx-fp32'][@name='size <= 100 kB']/skipped")

    assert case is not None
    assert "134 kB over" in case.get("message", "")
    assert "the outcome on this target is pass" in case.get("message", "")


def test_an_inconclusive_budget_is_skipped_with_its_figure() -> None:
    root = suites_of(make_report())

    case = root.find(f".//testcase[@classname='{LOCAL}.tflite-int8-static'][@name='accuracy.drop <= 2 pt']/skipped")

    assert case is not None
    assert "0.56 pt [-0.51, 2.00]" in case.get("message", "")


def test_a_parity_failure_names_artifact_output_and_sample() -> None:
    (failure,) = suites_of(variants.parity_failed()).findall(".//testsuite[@name='litert']/testcase/failure")

    message = failure.get("message", "")

    for part in ("'tflite-int8-static' in litert", "output 'logits'", "batch 5", "sample 7 of 32"):
        assert part in message


def test_a_failed_report_without_a_failed_check_still_fails() -> None:
    report = variants.replace(variants.empty(), verdict=Verdict.FAIL)

    assert len(suites_of(report).findall(".//failure")) == 1
