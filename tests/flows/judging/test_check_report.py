"""What a run of the gate reports and records, next to its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.test_check import Use, check, config, only, times

from edgekit.core.errors import DeviceUnavailable, UserError
from edgekit.core.reports.history import Run
from edgekit.core.verdict import Verdict
from edgekit.flows.check import check_order
from edgekit.flows.judging import history

BOTH = '[[check.models]]\npath = "a.fake.json"\nname = "a"'


def test_a_run_is_reported_and_recorded_with_what_it_judged(folder: Path, use: Use) -> None:
    use(times(b=2e-3))
    path = config(
        folder, 'inconclusive = "report"\nbudgets = ["load <= 1 ms", "size <= 1 MB"]', 'baseline = "a.fake.json"'
    )

    found = check(path)

    assert (found.config, found.policy, found.verdict) == (str(path), "report", Verdict.FAIL)
    assert (len(found.reports), len(found.comparisons)) == (1, 2)
    assert (found.reports[0].command, found.reports[0].verdict) == ("check", Verdict.FAIL)
    assert [one.budget for one in found.reports[0].budgets] == ["load <= 1 ms", "size <= 1 MB"]
    assert {one.check: one.line for one in found.results} == {
        "load <= 1 ms": 5,
        "size <= 1 MB": 5,
        "not slower than a.fake.json": 9,
        "not larger than a.fake.json": 9,
    }
    assert found.tools
    assert found.reproduction
    (line,) = history.read_history(folder / "edgekit-history.jsonl")
    assert isinstance(line, Run)
    assert (line.created, line.commit, line.verdict) == (found.created, found.commit, Verdict.FAIL)
    assert line.checks == tuple(one.key for one in found.results)
    assert (line.inconclusive, line.outside) == ((), ("b/b.fake@fake",))
    assert (set(line.values), set(line.sizes)) == ({"b/b.fake@fake"}, {"b/b.fake@fake"})


def test_what_is_undecided_is_recorded_even_where_it_has_lost_patience(folder: Path, use: Use) -> None:
    def noisy(number: int, job: object) -> float:
        return 1e-3 * (1 + 0.3 * (number % 3))

    use(noisy)
    path = config(folder, 'patience = 1\nbudgets = ["latency.p50 <= 1.2 ms"]')

    found = check(path)

    assert only(found, "budget").in_a_row == 1
    assert found.verdict is Verdict.FAIL
    (line,) = history.read_history(folder / "edgekit-history.jsonl")
    assert isinstance(line, Run)
    assert line.inconclusive == ("b/b.fake@fake latency.p50 <= 1.2 ms",)


def test_models_are_checked_one_after_the_other_and_confirmed_by_themselves(folder: Path, use: Use) -> None:
    device = use(times(a=3e-3, b=1e-3))
    path = config(folder, 'budgets = ["latency.p50 <= 2 ms"]')
    path.write_text(f"{path.read_text()}\n{BOTH}\n")

    found = check(path)

    assert [(one.model, one.verdict) for one in found.results] == [("b", Verdict.PASS), ("a", Verdict.FAIL)]
    assert [Path(job.artifact).name[0] for job in device.jobs] == [*"bbbbb", *"aaaaaaaaaa"]
    assert ", confirmed by 3.0" in found.results[1].message


def test_a_device_that_is_lost_before_the_second_measurement_leaves_a_budget_incomplete(folder: Path, use: Use) -> None:
    def answer(number: int, job: object) -> float:
        if number >= 5:
            raise DeviceUnavailable("no response", hint="edgekit devices")
        return 1e-3 * (1 + 0.002 * number)

    use(answer)

    found = only(check(config(folder, 'budgets = ["latency.p50 <= 0.5 ms"]')), "budget")

    assert found.verdict is Verdict.INCOMPLETE
    assert found.message.endswith(", and the device could not be measured again")
    assert found.message.startswith("1.0")


def test_a_metric_that_cannot_be_compared_is_a_warning_of_the_run(folder: Path, use: Use) -> None:
    use(times())

    found = check(config(folder, 'baseline_metrics = ["memory"]', 'baseline = "a.fake.json"'))

    assert [one.startswith("Not compared with the baseline: memory of") for one in found.warnings] == [True]


def test_a_plan_names_what_is_measured_judged_and_recorded(folder: Path, use: Use) -> None:
    use(times())
    path = config(folder, 'budgets = ["size <= 1 kB"]\nnightly = true', 'baseline = "a.fake.json"')

    with check_order(path) as order:
        assert order.steps() == (
            "measure 'b' on fake: 5 fresh processes each",
            "judge 'size <= 1 kB'",
            "measure alternately with 'a.fake.json' on fake",
            "judge every median against earlier runs",
            f"add the run to '{folder / 'edgekit-history.jsonl'}'",
        )
        assert (order.command, order.config, order.record) == ("check", path, True)


def test_a_wrong_configuration_and_a_needless_trust_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="Unknown target option 'thread'") as wrong:
        check(config(folder, model='target = ["fake@thread=2"]'))
    with pytest.raises(UserError, match="--trust does not apply") as needless:
        check(config(folder), trust=True)

    assert wrong.value.message.startswith(f"'{folder / 'edgekit.toml'}' [check]: models[0].target: ")
    assert wrong.value.hint == "docs/ci.md lists every key."
    assert needless.value.hint == "Omit --trust."
