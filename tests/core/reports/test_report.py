"""Promises of core/reports/report.py."""

from __future__ import annotations

import pytest

from edgekit.core.reports.report import ParityCheck, Report
from edgekit.core.verdict import Verdict


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
