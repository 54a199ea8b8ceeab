"""Promises of core/verdict.py."""

from __future__ import annotations

import pytest

from edgekit.core.verdict import Verdict, best, worst

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("verdict", "code"), [(PASS, 0), (FAIL, 1), (INCONCLUSIVE, 4)])
def test_every_verdict_has_its_exit_code(verdict: Verdict, code: int) -> None:
    assert verdict.exit_code == code


@pytest.mark.parametrize(
    ("verdicts", "of_all", "of_any"),
    [
        ([], PASS, PASS),
        ([PASS], PASS, PASS),
        ([PASS, INCONCLUSIVE], INCONCLUSIVE, PASS),
        ([INCONCLUSIVE, FAIL], FAIL, INCONCLUSIVE),
        ([FAIL, PASS], FAIL, PASS),
        ([PASS, INCONCLUSIVE, FAIL], FAIL, PASS),
        ([FAIL, FAIL], FAIL, FAIL),
    ],
)
def test_the_worst_counts_where_all_must_pass_and_the_best_where_one_must(
    verdicts: list[Verdict], of_all: Verdict, of_any: Verdict
) -> None:
    assert worst(verdicts) == of_all
    assert best(verdicts) == of_any
