"""The pytest plug-in: the fixture `edgekit_profile` and the marker `edgekit`. Inert where neither is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from edgekit.core.reports.report import Report

Profile = Callable[..., "Report"]
MARKER = (
    'edgekit(budget="latency.p90 <= 8 ms"): models that edgekit_profile measures in this test must meet the budget.'
)
POLICIES = ("pass", "skip", "fail")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the fixture."""
    group = parser.getgroup("edgekit", "latency of models")
    group.addoption("--edgekit-target", metavar="TARGET", default="local", help="Where models are measured.")
    group.addoption(
        "--edgekit-launches", metavar="NUMBER", type=int, default=6, help="Number of fresh processes per measurement."
    )
    group.addoption(
        "--edgekit-inconclusive",
        choices=POLICIES,
        default="skip",
        help="Result of a test whose budget is inconclusive (default: skip).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def edgekit_profile(request: pytest.FixtureRequest) -> Profile:
    """`edgekit_profile(path, artifact=..., target=..., launches=...)`: measure a model, and judge the marker's budget.

    Returns the Report. A missed budget is measured again and fails the test if it is missed again.
    """
    _refuse_workers(request.config)
    budgets = _budgets(request.node)

    def profile(
        path: str | Path, *, artifact: Sequence[str] = (), target: str = "", launches: int = 0, **options: Any
    ) -> Report:
        from edgekit.flows.pytest_fixture import profile_against

        option = request.config.getoption
        found = profile_against(
            path,
            budgets,
            artifact=artifact,
            target=target or option("--edgekit-target"),
            launches=launches or option("--edgekit-launches"),
            **options,
        )
        _act(found, option("--edgekit-inconclusive"))
        return found

    return profile


def _refuse_workers(config: pytest.Config) -> None:
    """Tests that run side by side disturb each other's times."""
    if hasattr(config, "workerinput"):
        pytest.fail("edgekit cannot measure while other tests run: use -n 0 for these.", pytrace=False)


def _budgets(node: pytest.Item) -> tuple[str, ...]:
    """The budgets of every marker of the test, of its class and of its module."""
    found: list[str] = []
    for marker in node.iter_markers("edgekit"):
        unknown = sorted(set(marker.kwargs) - {"budget"})
        if marker.args or unknown or "budget" not in marker.kwargs:
            pytest.fail('The marker needs a budget: @pytest.mark.edgekit(budget="latency.p90 <= 8 ms").', pytrace=False)
        budget = marker.kwargs["budget"]
        found += [budget] if isinstance(budget, str) else list(budget)
    return tuple(found)


def _act(report: Report, policy: str) -> None:
    failed = [_described(check, report) for check in report.budgets if check.verdict == "fail"]
    failed += [f"'{one.artifact}' differs from PyTorch" for one in report.parity if one.verdict == "fail"]
    if failed:
        pytest.fail("; ".join(failed), pytrace=False)
    undecided = [_described(check, report) for check in report.budgets if check.verdict == "inconclusive"]
    if undecided and policy == "fail":
        pytest.fail(f"INCONCLUSIVE: {'; '.join(undecided)}", pytrace=False)
    if undecided and policy == "skip":
        pytest.skip(f"INCONCLUSIVE: {'; '.join(undecided)}")


def _described(check: Any, report: Report) -> str:
    from edgekit.core.units import format_figure
    from edgekit.report.rows import measured_at

    found = check.estimate
    figure = found.reason or format_figure(found.value, found.low, found.high, check.display_unit)
    return f"'{check.artifact}' on {check.target}: {check.budget}, got {figure}{measured_at(report, check)}"
