from __future__ import annotations

from tests.report.made_up import variants
from tests.report.made_up.factory import ARTIFACTS, LOCAL, PI, make_report
from tests.report.made_up.variants import WITHHELD, replace

from edgekit.core.reports.report import Report
from edgekit.core.verdict import Verdict
from edgekit.report import rows


def row_of(report: Report, target: str, artifact: str) -> rows.Row:
    found = next(one for one in rows.targets(report) if one.target == target)
    return next(row for row in found.rows if row.artifact == artifact)


def test_every_target_has_one_row_an_artifact_in_order() -> None:
    targets = rows.targets(make_report())

    assert [target.target for target in targets] == [LOCAL, PI]
    assert all([row.artifact for row in target.rows] == list(ARTIFACTS) for target in targets)


def test_the_chosen_artifact_is_marked_where_it_was_chosen() -> None:
    report = make_report()

    marked = [(row.target, row.artifact) for target in rows.targets(report) for row in target.rows if row.is_chosen]

    assert marked == [(outcome.target, outcome.chosen) for outcome in report.outcomes]


def test_a_parity_failure_in_an_engine_withholds_times_on_every_target() -> None:
    report = variants.parity_failed()

    shown = [row_of(report, target, WITHHELD) for target in (LOCAL, PI)]

    assert all(row.withheld == rows.FAILED_PARITY for row in shown)
    assert all(row.quantile("p50").value is None and row.figure("load").value is None for row in shown)
    assert all(row.trust is None for row in shown)


def test_a_parity_failure_on_one_target_leaves_the_other_alone() -> None:
    report = variants.parity_failed_there()

    assert row_of(report, PI, WITHHELD).withheld == rows.FAILED_PARITY
    assert row_of(report, LOCAL, WITHHELD).quantile("p50").value is not None


def test_an_emulator_has_memory_and_trust_and_no_times() -> None:
    row = row_of(variants.emulated(), PI, "onnx-fp32")

    assert row.is_emulated
    assert row.quantile("p50").value is None
    assert row.memory.value is not None
    assert row.trust is not None
    assert row.trust.grade == "E"


def test_any_sign_of_emulation_is_enough() -> None:
    report = make_report()
    by_facts = replace(report, facts={PI: replace(report.facts[PI], emulated=True)})
    by_values = replace(report, measurements=tuple(replace(one, emulated=True) for one in report.measurements))

    assert rows.withheld(by_facts, "onnx-fp32", PI) == rows.EMULATED
    assert rows.withheld(by_facts, "onnx-fp32", LOCAL) == ""
    assert rows.withheld(by_values, "onnx-fp32", LOCAL) == rows.EMULATED


def test_budgets_on_withheld_times_show_no_figure() -> None:
    report = variants.parity_failed()
    checks = [check for check in report.budgets if check.artifact == WITHHELD]

    shown = {check.metric: rows.judged(report, check).value for check in checks}

    assert shown["latency"] is None
    assert shown["size"] is not None


def test_an_artifact_that_was_not_measured_anywhere_is_still_listed() -> None:
    report = make_report()
    kept = tuple(one for one in report.latency if one.artifact != WITHHELD)
    budgets = tuple(one for one in report.budgets if one.artifact != WITHHELD)
    values = tuple(one for one in report.measurements if one.artifact != WITHHELD)

    row = row_of(replace(report, latency=kept, budgets=budgets, measurements=values), LOCAL, WITHHELD)

    assert row.withheld == rows.NOT_MEASURED


def test_an_artifact_that_only_another_target_opens_is_not_listed() -> None:
    report = make_report()
    kept = tuple(one for one in report.latency if (one.artifact, one.target) != (WITHHELD, PI))
    budgets = tuple(one for one in report.budgets if (one.artifact, one.target) != (WITHHELD, PI))

    found = next(one for one in rows.targets(replace(report, latency=kept, budgets=budgets)) if one.target == PI)

    assert WITHHELD not in [row.artifact for row in found.rows]


def test_each_choice_of_sizes_has_its_row_with_its_own_launches() -> None:
    target = rows.targets(variants.several_sizes())[0]

    assert len(target.rows) == 2 * len(target.artifacts)
    for row in target.rows:
        assert row.latency is not None
        assert row.measurement is not None
        assert row.measurement.sizes == row.latency.sizes


def test_a_report_without_targets_still_lists_its_artifacts() -> None:
    report = replace(variants.validated(), outcomes=())

    (target,) = rows.targets(report)

    assert target.target == ""
    assert [row.artifact for row in target.rows] == list(ARTIFACTS)
    assert not target.has_latency


def test_checks_that_say_the_same_of_several_targets_are_shown_once() -> None:
    sizes = [check for check in make_report().budgets if check.metric == "size"]

    merged = rows.merged(sizes)

    assert [targets for _, targets in merged] == [(LOCAL, PI)] * len(ARTIFACTS)


def test_open_parity_checks_come_failures_first() -> None:
    report = variants.parity_failed()
    undecided = replace(report.parity[0], verdict=Verdict.INCONCLUSIVE)

    found = rows.open_parity(replace(report, parity=(undecided, *report.parity[1:])))

    assert [check.verdict for check in found] == [Verdict.FAIL, Verdict.INCONCLUSIVE]


def test_counts_name_only_what_was_checked() -> None:
    assert rows.counts(variants.validated()) == (("targets", 1, 1), ("parity", 14, 14))
    assert rows.counts(variants.empty()) == ()
