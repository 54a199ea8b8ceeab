"""What is mutated, and by which tests a mutant has to be found: those that lie next to the module."""

from __future__ import annotations

from typing import Final, NamedTuple

JUDGING = "src/edgekit/flows/judging"
STATISTICS = "src/edgekit/core/statistics"


class Subject(NamedTuple):
    """Modules whose mutants the same tests have to find. Paths begin at the root of the repository."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


SUBJECTS: Final = {
    "budget": Subject(("src/edgekit/core/budget.py",), ("tests/core/test_budget.py",)),
    "judge": Subject((f"{JUDGING}/budgets.py",), ("tests/flows/judging/test_budgets.py",)),
    "gate": Subject(
        tuple(
            f"{JUDGING}/{name}.py" for name in ("gate", "baseline", "baseline_figures", "results", "nights", "history")
        ),
        ("tests/flows/judging", "tests/flows/test_check.py", "tests/flows/test_history.py"),
    ),
    "check": Subject(
        ("src/edgekit/flows/check.py", "src/edgekit/core/system/check_settings.py"),
        ("tests/flows/test_check.py", "tests/core/system/test_check_settings.py", "tests/cli/test_gate.py"),
    ),
    "alarms": Subject((f"{JUDGING}/alarms.py",), ("tests/flows/judging/test_alarms.py", "tests/flows/test_check.py")),
    "comparison": Subject(
        (f"{JUDGING}/comparison.py", "src/edgekit/flows/compare.py"),
        ("tests/flows/test_compare.py", "tests/cli/test_gate.py"),
    ),
    "statistics": Subject(
        tuple(
            f"{STATISTICS}/{name}.py" for name in ("intervals", "student", "trust", "events", "nightly", "by_sample")
        ),
        ("tests/core/statistics",),
    ),
    "paired": Subject((f"{STATISTICS}/paired.py",), ("tests/core/statistics/test_paired.py",)),
    "steady": Subject((f"{STATISTICS}/steady.py",), ("tests/core/statistics/test_steady.py",)),
}
