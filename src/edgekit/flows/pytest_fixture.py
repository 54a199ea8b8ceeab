"""A profile that is judged against budgets, and measured again before one fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgekit.core.recipe import RECIPES, Recipe
from edgekit.core.reports.report import Report
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target, parse_targets
from edgekit.core.verdict import Verdict, worst
from edgekit.flows.judging.alarms import MEASURED
from edgekit.flows.judging.budgets import extras_for, judge_budgets, parse_budgets, refuse_unmeasurable
from edgekit.flows.profile import profile


def profile_against(
    path: str | Path,
    budgets: Sequence[str],
    *,
    artifact: Sequence[str] = (),
    target: str = "local",
    launches: int = 6,
    time_limit_s: float | None = None,
    sizes: Sequence[str] = (),
    settings: Settings = Settings(),
) -> Report:
    """`profile`, with every budget judged on every artifact; a measured one fails only if a second profile agrees.

    Budgets on accuracy are refused: a profile does not measure it.

    Raises:
        UserError: A text that is not a budget, or as in `profile`.
    """
    targets = parse_targets(target)
    parsed = parse_budgets(budgets, targets, ())
    refuse_unmeasurable(parsed, "")
    reports = []
    for attempt in range(2):
        again = msgspec.structs.replace(settings, seed=settings.seed + attempt)
        found = profile(
            path,
            target=target,
            artifact=artifact,
            launches=launches,
            time_limit_s=time_limit_s,
            end_to_end=extras_for(parsed).end_to_end is not None,
            sizes=sizes,
            settings=again,
        )
        reports.append(_judged(found, budgets, targets))
        if not any(one.verdict is Verdict.FAIL and one.metric in MEASURED for one in reports[-1].budgets):
            break
    return reports[-1]


def _judged(report: Report, budgets: Sequence[str], targets: Sequence[Target]) -> Report:
    recipes = [Recipe.parse(one.recipe) for one in report.artifacts if one.recipe in RECIPES]
    checks = judge_budgets(parse_budgets(budgets, targets, recipes), targets, report)
    verdict = worst([report.verdict, *(one.verdict for one in checks)])
    return msgspec.structs.replace(report, budgets=checks, verdict=verdict)
