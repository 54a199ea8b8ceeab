"""Promises of core/reports/report.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.reports.report import (
    Accuracy,
    BudgetCheck,
    Estimate,
    Outcome,
    ParityCheck,
    RecipeFailure,
    Report,
    is_report,
)
from edgekit.core.verdict import Verdict, worst


def check(artifact: str, verdict: Verdict, kind: str = "difference") -> ParityCheck:
    return ParityCheck(artifact, "local", "N=1", "y", kind, 0.1, 0.2, verdict)


def test_one_failed_check_fails_the_parity_of_its_artifact_alone() -> None:
    checks = (check("a", Verdict.PASS), check("a", Verdict.FAIL), check("b", Verdict.PASS))
    report = Report(command="build", created="now", parity=checks)

    assert report.parity_of("a") == Verdict.FAIL
    assert report.parity_of("b") == Verdict.PASS


@pytest.mark.parametrize(("kind", "unit"), [("difference", "1"), ("sqnr", "dB"), ("agreement", "ratio")])
def test_every_kind_of_parity_check_has_its_unit(kind: str, unit: str) -> None:
    assert check("a", Verdict.PASS, kind).unit == unit


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a.json", True), ("b/report.json", True), ("net.fake.json", False), ("net.onnx", False), ("bundle", False)],
)
def test_a_report_is_known_by_its_name(name: str, is_one: bool) -> None:
    assert is_report(name) is is_one
    assert is_report(Path(name)) is is_one


@pytest.mark.parametrize(("metric", "drop"), [("accuracy", 0.01), ("auc", 0.01), ("mae", 0.1)])
def test_a_drop_is_that_of_a_share_or_relative_to_the_error(metric: str, drop: float) -> None:
    found = Accuracy("a", "local", metric, Estimate(0.11), Estimate(0.1), Estimate(0.01))

    assert found.relative_drop == pytest.approx(drop)


@pytest.mark.parametrize(("metric", "unit"), [("accuracy.drop", "points"), ("accuracy", "ratio"), ("size", "bytes")])
def test_a_budget_on_a_drop_is_printed_in_points(metric: str, unit: str) -> None:
    stored = "bytes" if metric == "size" else "ratio"

    assert BudgetCheck("", "a", "local", metric, stored, 0.1, Estimate(0.1), Verdict.PASS).display_unit == unit


@pytest.mark.parametrize(
    ("failed", "judged", "code"),
    [
        ((), Verdict.PASS, 0),
        ((5,), Verdict.PASS, 5),
        ((2,), Verdict.INCONCLUSIVE, 5),
        ((5,), Verdict.FAIL, 1),
        ((5, 70), Verdict.PASS, 70),
    ],
)
def test_a_recipe_that_was_not_made_decides_the_exit_code_unless_something_that_was_made_fails(
    failed: tuple[int, ...], judged: Verdict, code: int
) -> None:
    failures = tuple(RecipeFailure("onnx-fp16", "ConversionFailed", "no", exit_code=one) for one in failed)
    verdict = worst([judged, *([Verdict.FAIL] if failed else [])])
    report = Report(
        command="export", created="", outcomes=(Outcome("local", judged),), failures=failures, verdict=verdict
    )

    assert report.exit_code == code
