"""What is mutated, and by which tests a mutant has to be found: those that lie next to the module."""

from __future__ import annotations

from typing import Final, NamedTuple

JUDGING = "src/edgekit/flows/judging"
STATISTICS = "src/edgekit/core/statistics"
CHECKING = "export/checking"
REMOTE = "devices/remote"


class Subject(NamedTuple):
    """Modules whose mutants the same tests have to find. Paths begin at the root of the repository."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


SUBJECTS: Final = {
    "budget": Subject(("src/edgekit/core/budget.py",), ("tests/core/test_budget.py",)),
    "judge": Subject(
        (f"{JUDGING}/budgets.py",),
        ("tests/flows/judging/test_budgets.py", "tests/flows/judging/test_budget_figures.py"),
    ),
    "gate": Subject(
        (f"{JUDGING}/gate.py", f"{JUDGING}/results.py"),
        ("tests/flows/judging/test_gate.py", "tests/flows/judging/test_results.py"),
    ),
    "baseline": Subject(
        (f"{JUDGING}/baseline.py", f"{JUDGING}/baseline_figures.py"),
        (
            "tests/flows/test_check.py",
            "tests/flows/judging/test_baseline_figures.py",
            "tests/flows/judging/test_planted_gate_faults.py",
        ),
    ),
    "nights": Subject(
        (f"{JUDGING}/nights.py", f"{JUDGING}/history.py"),
        ("tests/flows/judging/test_nights.py", "tests/flows/test_history.py"),
    ),
    "check": Subject(
        ("src/edgekit/flows/check.py", "src/edgekit/core/system/check_settings.py"),
        (
            "tests/core/system/test_check_settings.py",
            "tests/flows/judging/test_check_report.py",
            "tests/flows/test_check.py",
        ),
    ),
    "alarms": Subject((f"{JUDGING}/alarms.py",), ("tests/flows/judging/test_alarms.py",)),
    "comparison": Subject(
        (f"{JUDGING}/comparison.py",),
        ("tests/flows/judging/test_comparison.py",),
    ),
    "statistics": Subject(
        tuple(
            f"{STATISTICS}/{name}.py" for name in ("intervals", "student", "trust", "events", "nightly", "by_sample")
        ),
        ("tests/core/statistics",),
    ),
    "paired": Subject((f"{STATISTICS}/paired.py",), ("tests/core/statistics/test_paired.py",)),
    "steady": Subject((f"{STATISTICS}/steady.py",), ("tests/core/statistics/test_steady.py",)),
    "bundle": Subject(
        ("src/edgekit/core/bundle.py",),
        tuple(f"tests/core/test_{name}.py" for name in ("bundle", "bundle_contents", "old_bundles")),
    ),
    "target": Subject(("src/edgekit/core/target.py",), ("tests/core/test_target.py",)),
    "validation": Subject(
        tuple(f"{CHECKING}/{name}.py" for name in ("parity", "tolerance", "difference", "artifact_checks")),
        tuple(
            f"tests/{CHECKING}/test_{name}.py"
            for name in ("parity", "scales", "tolerance", "difference", "artifact_checks", "checks_in_full")
        ),
    ),
    "validate": Subject(
        ("src/edgekit/flows/measuring/validation.py", "src/edgekit/flows/validate.py"),
        ("tests/flows/test_validate.py",),
    ),
    "providers": Subject(("runtime/backends/providers.py",), ("tests/runtime/backends/test_providers.py",)),
    "process": Subject(("src/edgekit/core/system/processes.py",), ("tests/core/system/test_processes.py",)),
    "ssh": Subject(
        (f"{REMOTE}/ssh.py", f"{REMOTE}/ssh_hints.py"),
        (f"tests/{REMOTE}/test_ssh_connection.py", f"tests/{REMOTE}/test_ssh_hints.py"),
    ),
    "web_server": Subject(
        ("devices/web/server.py",), ("tests/devices/web/test_server.py", "tests/hostile/test_device_replies.py")
    ),
    "transfer": Subject((f"{REMOTE}/transfer.py",), (f"tests/{REMOTE}/test_transfer.py",)),
}
