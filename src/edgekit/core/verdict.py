"""Verdict: the result of a check."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from edgekit.core.errors import EnvironmentFault, VerdictFailed, VerdictInconclusive


class Verdict(StrEnum):
    """Pass, fail, inconclusive (the measurement supports neither), or incomplete: a device could not be measured."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INCOMPLETE = "incomplete"

    @property
    def exit_code(self) -> int:
        """The exit code of a command with this verdict."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.FAIL: VerdictFailed.exit_code,
    Verdict.INCONCLUSIVE: VerdictInconclusive.exit_code,
    Verdict.INCOMPLETE: EnvironmentFault.exit_code,
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Fail if any failed, else incomplete if any was, else inconclusive, else pass."""
    seen = set(verdicts)
    return next((v for v in (Verdict.FAIL, Verdict.INCOMPLETE, Verdict.INCONCLUSIVE) if v in seen), Verdict.PASS)


def best(verdicts: Iterable[Verdict]) -> Verdict:
    """Pass if any passed, else inconclusive, else incomplete, else fail; pass for none at all."""
    seen = set(verdicts) or {Verdict.PASS}
    return next((v for v in (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.INCOMPLETE) if v in seen), Verdict.FAIL)
