"""The JUnit rendering: one case per artifact, target and check, which CI shows as tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from edgekit.core.reports.report import BudgetCheck, Outcome, ParityCheck, Report
from edgekit.core.verdict import Verdict
from edgekit.report import formatting, rows, verdicts


@dataclass(frozen=True)
class JunitCase:
    """One test case: its suite, class, name and result, and where a file asks for it."""

    suite: str
    group: str
    name: str
    verdict: Verdict
    message: str = ""
    file: str = ""
    line: int = 0


def render_junit(report: Report) -> str:
    """The report as JUnit XML.

    The file contains a failure if and only if the report failed: an inconclusive check is skipped, and so is a budget
    that an artifact misses on a target that passes with another one. The last suite contains the verdict.
    """
    return render_cases(f"edgekit {report.command}", cases(report))


def render_cases(name: str, found: Iterable[JunitCase]) -> str:
    """JUnit XML of cases, grouped by suite."""
    suites = ElementTree.Element("testsuites", name=formatting.clean(name))
    grouped: dict[str, list[JunitCase]] = {}
    for case in found:
        grouped.setdefault(case.suite, []).append(case)
    for suite, members in grouped.items():
        suites.append(_suite(suite, members))
    _count(suites, [case for members in grouped.values() for case in members])
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def cases(report: Report) -> Iterator[JunitCase]:
    """Every check of the report, then the outcome of each target, then the verdict."""
    yield from map(_parity_case, report.parity)
    for check in report.budgets:
        yield _budget_case(report, check)
    for failure in report.failures:
        yield JunitCase("export", failure.recipe, "made", Verdict.FAIL, failure.message)
    yield from map(_outcome_case, report.outcomes)
    yield JunitCase("verdict", report.command, "verdict", report.verdict, f"the verdict is {verdicts.word(report)}")


def _parity_case(check: ParityCheck) -> JunitCase:
    parts = (
        f"'{check.artifact}' in {check.where}: output '{check.output}'",
        check.case,
        formatting.parity_value(check),
    )
    message = ", ".join(part for part in (*parts, formatting.parity_sample(check), check.reason) if part)
    name = f"parity of {check.output}, {check.case}, {check.kind}"
    return JunitCase(check.where, check.artifact, name, check.verdict, message)


def _budget_case(report: Report, check: BudgetCheck) -> JunitCase:
    estimate, unit = rows.judged(report, check), check.display_unit
    figure = f"{formatting.quantity(estimate, unit)} {formatting.interval(estimate, unit)}".strip()
    miss, at = (
        formatting.beyond(check) if estimate.value is not None else estimate.reason,
        rows.measured_at(report, check),
    )
    message = ", ".join(part for part in (f"'{check.artifact}' has {figure}{at}", miss) if part)
    outcome = next((one.verdict for one in report.outcomes if one.target == check.target), report.verdict)
    if check.verdict is Verdict.FAIL and outcome is not Verdict.FAIL:
        skipped = f"{message}; the outcome on this target is {formatting.VERDICTS[outcome]}, with another artifact"
        return JunitCase(check.target, check.artifact, check.budget, Verdict.INCONCLUSIVE, skipped)
    return JunitCase(check.target, check.artifact, check.budget, check.verdict, message)


def _outcome_case(outcome: Outcome) -> JunitCase:
    chosen = f"chosen '{outcome.chosen}'" if outcome.chosen else outcome.reason
    return JunitCase(outcome.target, "outcome", f"outcome on {outcome.target}", outcome.verdict, chosen)


def _suite(name: str, found: list[JunitCase]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=formatting.clean(name))
    _count(suite, found)
    for case in found:
        element = ElementTree.SubElement(
            suite,
            "testcase",
            classname=formatting.clean(f"{case.suite}.{case.group}"),
            name=formatting.clean(case.name),
        )
        if case.file:
            element.set("file", formatting.clean(case.file))
            element.set("line", str(case.line))
        if case.verdict is not Verdict.PASS:
            kind = "failure" if case.verdict is Verdict.FAIL else "skipped"
            ElementTree.SubElement(element, kind, message=formatting.clean(case.message))
    return suite


def _count(element: ElementTree.Element, found: list[JunitCase]) -> None:
    verdicts = [case.verdict for case in found]
    element.set("tests", str(len(found)))
    element.set("failures", str(verdicts.count(Verdict.FAIL)))
    element.set("skipped", str(sum(one not in (Verdict.PASS, Verdict.FAIL) for one in verdicts)))
    element.set("errors", "0")
