"""Budgets as one table: artifacts on targets down, budgets across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.core.reports.report import BudgetCheck


@dataclass(frozen=True)
class BudgetRow:
    """One artifact with a check per budget, None where the budget does not apply.

    `targets` are all on which these checks have the same result.
    """

    artifact: str
    targets: tuple[str, ...]
    checks: tuple[BudgetCheck | None, ...]


@dataclass(frozen=True)
class BudgetMatrix:
    """The texts of the budgets, and a row per artifact and target; `targets` are all of them."""

    budgets: tuple[str, ...]
    rows: tuple[BudgetRow, ...]
    targets: tuple[str, ...]


def budget_matrix(checks: Sequence[BudgetCheck]) -> BudgetMatrix:
    """The checks of a report; equal rows of one artifact are merged, with all their targets."""
    budgets = tuple(dict.fromkeys(check.budget for check in checks))
    cells = {(check.artifact, check.target, check.budget): check for check in checks}
    found: dict[tuple[object, ...], tuple[list[str], tuple[BudgetCheck | None, ...]]] = {}
    for artifact, target in dict.fromkeys((check.artifact, check.target) for check in checks):
        row = tuple(cells.get((artifact, target, budget)) for budget in budgets)
        same = (artifact, *((one.estimate, one.verdict) if one else None for one in row))
        found.setdefault(same, ([], row))[0].append(target)
    rows = tuple(BudgetRow(str(same[0]), tuple(targets), row) for same, (targets, row) in found.items())
    return BudgetMatrix(budgets, rows, tuple(dict.fromkeys(check.target for check in checks)))
