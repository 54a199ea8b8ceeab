from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import select, update
from tests.store.made_reports import checked, compared, profiled, swept, tuned, when

from edgekit.core.errors import Unreadable, UserError
from edgekit.core.reports.kept import Keepable
from edgekit.core.reports.report import Missing
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.verdict import Verdict
from edgekit.store.database import Store, open_store
from edgekit.store.pruning import prunable, prune
from edgekit.store.reading import all_runs, newest, run_of, run_without_report
from edgekit.store.recording import record
from edgekit.store.schema import DOCUMENTS, MEASUREMENTS


def test_a_report_comes_back_whole_with_its_figures(store: Store) -> None:
    report = profiled(3)

    number, is_new = record(store, report)

    run, kept = run_of(store, number)
    assert is_new
    assert kept == report
    assert (run.created, run.command, run.model, run.subject) == (when(3), "profile", "kws", "kws-bundle")
    assert (run.commit, run.verdict, run.has_report) == (f"{3:040x}", Verdict.PASS, True)
    (latency,) = run.latency
    assert (latency.model, latency.artifact, latency.target, latency.trust) == ("kws", "onnx-fp32", "pi5", "B")
    assert (latency.p50, latency.p50_low, latency.p90) == (3e-3, 3e-3 * 0.99, 3e-3 * 1.2)
    assert latency.launch_medians == pytest.approx((2.99e-3, 3e-3, 3.01e-3))
    assert [(one.kind, one.artifact, one.bound) for one in run.verdicts] == [
        ("budget", "onnx-fp32", 5e-3),
        ("outcome", "onnx-fp32", None),
    ]


@pytest.mark.parametrize("made", [profiled, checked, compared, swept, tuned])
def test_every_kind_of_report_comes_back(store: Store, made: Callable[[int], Keepable]) -> None:
    report = made(1)

    number, _ = record(store, report)

    run, kept = run_of(store, number)
    assert kept == report
    assert run.latency
    assert run.verdicts


def test_a_check_of_two_models_is_found_by_each(store: Store) -> None:
    number, _ = record(store, checked())

    run, _ = run_of(store, number)

    assert run.model == ""
    assert [(one.model, one.p50) for one in run.latency] == [("kws", 3e-3), ("vad", 1e-3)]
    assert [(one.kind, one.name, one.value) for one in run.verdicts] == [("baseline", "vad: latency", 1.2)]
    for model in ("kws", "vad"):
        assert [one.number for one in newest(store, limit=5, model=model)[0]] == [number]


def test_a_comparison_and_a_tuning_have_their_figures(store: Store) -> None:
    of_pair, _ = run_of(store, record(store, compared())[0])
    of_tuning, _ = run_of(store, record(store, tuned())[0])

    assert [one.artifact for one in of_pair.latency] == ["a.onnx", "b.onnx"]
    assert [one.p50 for one in of_pair.latency] == pytest.approx([1.1e-3, 1.2e-3])
    assert [(one.kind, one.value, one.bound) for one in of_pair.verdicts] == [("comparison", 1.1, 1.03)]
    assert [(one.target, one.p50) for one in of_tuning.latency] == [("pi5/onnxruntime@threads=2", 2e-3)]


def test_a_sweep_has_each_version_of_its_models_and_what_they_cost(store: Store) -> None:
    run, _ = run_of(store, record(store, swept())[0])

    assert (run.model, run.subject, run.verdict) == ("kws", "sweep.toml", Verdict.FAIL)
    assert [(one.model, one.target, one.engine) for one in run.latency] == [
        ("kws", "local@threads=2", "onnxruntime 1.25"),
        ("kws", "local@threads=2", "onnxruntime 1.26"),
    ]
    assert [one.launch_medians for one in run.latency] == [(3e-3,) * 3, (3e-3 * 1.1,) * 3]
    assert [(one.kind, one.name, one.value, one.bound) for one in run.verdicts] == [
        ("comparison", "kws: onnxruntime 1.26 at N=1 / onnxruntime 1.25", 1.1, 1.03)
    ]
    with store.reading() as connection:
        (measured,) = set(connection.execute(select(MEASUREMENTS.c.device_id, MEASUREMENTS.c.artifact_id)).all())
    assert None not in measured


def test_a_sweep_says_what_is_wrong_and_what_is_missing(store: Store) -> None:
    report = swept()
    first, second = report.combinations
    wrong = msgspec.structs.replace(second, latency=None, is_wrong=True)
    lack = Missing("nets/kws onnx-int8", "pi5", "away", "No response.")
    unable = Missing("nets/kws onnx-int8", "web", "unable", "No such operator.")
    report = msgspec.structs.replace(report, combinations=(first, wrong), missing=(lack, unable))

    run, _ = run_of(store, record(store, report)[0])

    assert [one.engine for one in run.latency] == ["onnxruntime 1.25"]
    assert [(one.kind, one.name, one.target, one.verdict) for one in run.verdicts] == [
        ("parity", "kws: onnxruntime==1.26", "local@threads=2", Verdict.FAIL),
        ("outcome", "No response.", "pi5", Verdict.INCOMPLETE),
    ]


def test_a_sweep_of_the_first_schema_is_kept_without_its_models(store: Store) -> None:
    old = msgspec.structs.replace(swept(), models=(), schema_version=1)

    run, kept = run_of(store, record(store, old)[0])

    assert kept == old
    assert [(one.model, one.p50) for one in run.latency] == [("", 3e-3), ("", pytest.approx(3.3e-3))]


def test_a_check_has_the_commit_of_its_configuration(store: Store) -> None:
    elsewhere = msgspec.structs.replace(checked(3), reproduction=Reproduction(commit="c0ffee", branch="main"))

    run, _ = run_of(store, record(store, elsewhere)[0])

    assert (run.commit, run.branch) == (f"{3:040x}", "main")


def test_a_list_has_the_runs_of_a_branch(store: Store) -> None:
    for day, branch in enumerate(("main", "fix", "main", "")):
        record(store, profiled(day, branch=branch))

    found, total = newest(store, limit=5, model="kws", branch="main")

    assert ([run.created for run in found], total) == ([when(2), when(0)], 2)
    assert {run.branch for run in found} == {"main"}


def test_a_report_is_kept_once(store: Store) -> None:
    first = record(store, profiled())
    again = record(store, profiled())
    other = record(store, profiled(p50_s=4e-3))

    assert again == (first[0], False)
    assert other[1]
    assert newest(store, limit=5)[1] == 2


def test_a_report_of_an_earlier_schema_is_the_same_report(store: Store) -> None:
    first = record(store, profiled())

    assert record(store, msgspec.structs.replace(profiled(), schema_version=3)) == (first[0], False)


def test_the_newest_runs_are_found_by_model_and_target(store: Store) -> None:
    # Kept in another order than measured, as an import does it.
    for day in (2, 0, 1):
        record(store, profiled(day))
        record(store, profiled(day, model="vad", target="local"))

    runs, total = newest(store, limit=2)
    assert ([one.created for one in runs], total) == ([when(2), when(2)], 6)
    runs, total = newest(store, limit=2, model="kws")
    assert ([(one.created, one.model) for one in runs], total) == ([(when(2), "kws"), (when(1), "kws")], 3)
    runs, total = newest(store, limit=9, target="local")
    assert ([one.model for one in runs], total) == (["vad"] * 3, 3)
    assert newest(store, limit=9, model="kws", target="local") == ((), 0)


def test_all_runs_come_in_the_order_in_which_they_were_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.store.reading._PART", 2)
    numbers = [record(store, profiled(day))[0] for day in (4, 1, 3, 0, 2)]

    assert [one.number for one in all_runs(store)] == numbers


def test_an_unknown_run_is_the_users_mistake(store: Store) -> None:
    with pytest.raises(UserError, match="no run 7"):
        run_of(store, 7)


def test_text_that_a_database_cannot_store_is_kept_without_it(store: Store) -> None:
    number, _ = record(store, profiled(model="k\0ws"))

    assert run_of(store, number)[0].model == "kws"


@pytest.mark.parametrize(("days", "keep", "left"), [(None, 2, [3, 4]), (100_000, None, [0, 1, 2, 3, 4])])
def test_whole_reports_are_removed_and_figures_stay(
    store: Store, days: int | None, keep: int | None, left: list[int]
) -> None:
    numbers = [record(store, profiled(day))[0] for day in range(5)]

    would = prunable(store, days=days, keep=keep)
    removed, size_bytes, stay = prune(store, days=days, keep=keep)

    assert would == (removed, size_bytes, stay) == (5 - len(left), size_bytes, len(left))
    assert (size_bytes > 0) == (removed > 0)
    runs = [run_of(store, number) for number in numbers]
    assert [day for day, (_, kept) in enumerate(runs) if kept] == left
    assert [day for day, (run, _) in enumerate(runs) if run.has_report] == left
    assert all(run.latency[0].p50 == 3e-3 for run, _ in runs)


def test_old_reports_are_those_of_their_own_time(store: Store) -> None:
    old = msgspec.structs.replace(profiled(), created="2020-01-01T00:00:00+00:00")
    record(store, old)
    fresh, _ = record(store, msgspec.structs.replace(profiled(), created="2999-01-01T00:00:00+00:00"))

    assert prune(store, days=30, keep=None)[0] == 1
    assert run_of(store, fresh)[1] is not None


def test_a_store_that_was_closed_is_opened_with_what_it_had(place: str) -> None:
    with open_store(place) as first:
        number, _ = record(first, profiled())

    with open_store(place) as second:
        assert run_of(second, number)[1] == profiled()


def test_a_damaged_report_hides_no_run(store: Store) -> None:
    number, _ = record(store, profiled())
    whole = run_of(store, number)[0]
    with store.writing() as connection:
        connection.execute(update(DOCUMENTS).values(content=b"no report"))

    with pytest.raises(Unreadable, match="damaged"):
        run_of(store, number)
    assert run_without_report(store, number) == whole
