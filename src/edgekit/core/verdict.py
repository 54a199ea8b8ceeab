"""Verdict: the result of a check."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from edgekit.core.errors import VerdictFailed, VerdictInconclusive


class Verdict(StrEnum):
    """Pass, fail, or inconclusive: the measurement supports neither."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """The exit code of a command with this verdict."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.FAIL: VerdictFailed.exit_code,
    Verdict.INCONCLUSIVE: VerdictInconclusive.exit_code,
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Fail if any failed, else inconclusive if any was, else pass."""
    seen = set(verdicts)
    return next((v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE) if v in seen), Verdict.PASS)


def best(verdicts: Iterable[Verdict]) -> Verdict:
    """Pass if any passed, else inconclusive if any was, else fail; pass for none at all."""
    seen = set(verdicts) or {Verdict.PASS}
    return next((v for v in (Verdict.PASS, Verdict.INCONCLUSIVE) if v in seen), Verdict.FAIL)
