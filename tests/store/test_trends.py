"""What the pages ask a store, in SQLite and in PostgreSQL."""

from __future__ import annotations

import msgspec
import pytest
from tests.store.made_reports import checked, compared, profiled, swept, tuned, when

from edgekit.core.reports.kept import KeptRun
from edgekit.core.reports.kept_pages import PageFilter
from edgekit.core.verdict import Verdict
from edgekit.store.database import Store
from edgekit.store.recording import record
from edgekit.store.trends import every_device, every_name, newest_that_fit, overview, trends

MODELS = ("kws", "vad", "digits")
TARGETS = ("pi4", "pi5", "local")


@pytest.fixture
def filled(store: Store) -> Store:
    """Nine series of three runs each; the last runs are kept first, as an import of old reports does."""
    for day in (2, 1, 0):
        for model in MODELS:
            for target in TARGETS:
                record(store, profiled(day, model=model, target=target, p50_s=1e-3 * (day + 1)))
    return store


def test_every_series_is_found_once_with_its_newest_measurement(filled: Store) -> None:
    found = overview(filled, PageFilter(), first=0, most=50)

    assert {(one.model, one.target) for one in found.series} == {(a, b) for a in MODELS for b in TARGETS}
    assert found.total == len(found.series) == 9
    assert {one.points[0].created for one in found.series} == {when(2)}
    assert {one.points[0].verdict for one in found.series} == {Verdict.PASS}


def test_a_page_of_series_begins_where_the_one_before_ended(filled: Store) -> None:
    pages = [overview(filled, PageFilter(), first=first, most=4).series for first in (0, 4, 8)]

    assert [len(page) for page in pages] == [4, 4, 1]
    assert len({(one.model, one.target) for page in pages for one in page}) == 9


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (PageFilter(model="kws"), 3),
        (PageFilter(target="pi5"), 3),
        (PageFilter(model="kws", target="pi5", artifact="onnx-fp32"), 1),
        (PageFilter(artifact="onnx-int8"), 0),
    ],
)
def test_a_filter_leaves_the_series_and_the_runs_that_fit(filled: Store, shown: PageFilter, expected: int) -> None:
    runs, older = newest_that_fit(filled, shown, before="", most=50)

    assert overview(filled, shown, first=0, most=50).total == expected
    assert len(runs) == 3 * expected
    assert older == ""


def test_a_trend_has_the_newest_measurements_oldest_first(filled: Store) -> None:
    found = trends(filled, PageFilter(model="kws", target="pi5"), first=0, most=5, points=2)

    (series,) = found.series
    assert [point.created for point in series.points] == [when(1), when(2)]
    assert [point.latency.value for point in series.points] == [2e-3, 3e-3]


@pytest.mark.parametrize("shown", [PageFilter(), PageFilter(model="kws"), PageFilter(target="pi5")])
def test_pages_of_runs_hold_each_run_once_newest_first(filled: Store, shown: PageFilter) -> None:
    found: list[KeptRun] = []
    before = ""
    while not found or before:
        runs, before = newest_that_fit(filled, shown, before=before, most=2)
        found += runs

    assert len({run.number for run in found}) == len(found) == (9 if shown != PageFilter() else 27)
    assert [run.created for run in found] == sorted((run.created for run in found), reverse=True)


def test_a_branch_has_its_own_series_and_runs(filled: Store) -> None:
    for day, branch in enumerate(("fix", "main", "fix", "main"), start=3):
        record(filled, profiled(day, branch=branch))
    shown = PageFilter(branch="fix")

    (newest,) = overview(filled, shown, first=0, most=50).series
    (course,) = trends(filled, shown, first=0, most=50, points=60).series
    runs, _ = newest_that_fit(filled, PageFilter(model="kws", branch="fix"), before="", most=50)

    assert [(point.created, point.branch) for point in newest.points] == [(when(5), "fix")]
    assert [point.created for point in course.points] == [when(3), when(5)]
    assert [run.created for run in runs] == [when(5), when(3)]
    assert [run.created for run in newest_that_fit(filled, shown, before="", most=50)[0]] == [when(5), when(3)]
    assert every_name(filled)[3] == ("fix", "main")


def test_runs_without_a_model_are_in_no_series(store: Store) -> None:
    record(store, compared())
    record(store, tuned())

    assert overview(store, PageFilter(), first=0, most=50).total == 0
    assert len(newest_that_fit(store, PageFilter(), before="", most=50)[0]) == 2


def test_a_check_judges_each_model_by_its_own_results(store: Store) -> None:
    record(store, checked())

    found = overview(store, PageFilter(), first=0, most=50)

    assert {one.model: one.points[0].verdict for one in found.series} == {"kws": None, "vad": Verdict.FAIL}


def test_a_sweep_judges_each_version_by_its_own_comparison(store: Store) -> None:
    record(store, swept())

    (series,) = trends(store, PageFilter(), first=0, most=5, points=9).series

    assert {one.engine: one.verdict for one in series.points} == {
        "onnxruntime 1.25": None,
        "onnxruntime 1.26": Verdict.FAIL,
    }


def test_versions_of_one_run_are_courses_of_their_own(store: Store) -> None:
    for day in (0, 1):
        record(store, swept(day))

    (series,) = trends(store, PageFilter(), first=0, most=5, points=9).series

    assert [[(one.created, one.engine) for one in course] for course in series.courses()] == [
        [(when(day), engine) for day in (0, 1)] for engine in ("onnxruntime 1.25", "onnxruntime 1.26")
    ]


def test_a_backend_version_has_its_own_series_and_runs(store: Store) -> None:
    for day, engines in enumerate((("1.25", "1.26"), ("1.26", "1.27"), ("1.27",))):
        record(store, swept(day, engines=engines))
    shown = PageFilter(library="onnxruntime 1.26")

    (newest,) = overview(store, shown, first=0, most=9).series
    (series,) = trends(store, shown, first=0, most=9, points=9).series
    runs, older = newest_that_fit(store, shown, before="", most=9)

    assert [(one.created, one.engine) for one in newest.points] == [(when(1), "onnxruntime 1.26")]
    assert [one.created for one in series.points] == [when(0), when(1)]
    assert ([run.created for run in runs], older) == ([when(1), when(0)], "")
    assert overview(store, PageFilter(library="onnxruntime 1.24"), first=0, most=9).total == 0
    assert every_name(store)[4] == tuple(f"onnxruntime 1.{minor}" for minor in (25, 26, 27))


def test_a_course_goes_on_through_an_upgrade(store: Store) -> None:
    for day, engine in enumerate(("1.25", "1.26")):
        record(store, swept(day, engines=(engine,)))

    (series,) = trends(store, PageFilter(), first=0, most=5, points=9).series

    assert [len(course) for course in series.courses()] == [2]


def test_a_target_with_threads_is_on_the_device_of_its_facts(store: Store) -> None:
    record(store, swept())

    assert [(one.cpu, one.target) for one in every_device(store)] == [("Cortex-A76", "local@threads=2")]


def test_devices_and_names_are_those_of_the_runs(filled: Store) -> None:
    (device,) = every_device(filled)

    assert (device.cpu, device.last_seen) == ("Cortex-A76", when(2))
    assert every_name(filled) == (
        tuple(sorted(MODELS)),
        tuple(sorted(TARGETS)),
        ("onnx-fp32",),
        (),
        ("onnxruntime 1.25",),
    )


def test_a_profile_without_a_budget_was_measured(store: Store) -> None:
    record(store, msgspec.structs.replace(profiled(), budgets=()))

    (series,) = overview(store, PageFilter(), first=0, most=50).series

    assert series.points[0].verdict is None


def test_pages_lose_no_run_of_a_model_whose_description_changed(store: Store) -> None:
    """The runs of one description measure more than a page has rows for."""
    for day in range(8):
        report = profiled(day)
        if day % 2:
            record(store, msgspec.structs.replace(report, latency=report.latency * 30))
        else:
            assert report.spec
            record(store, msgspec.structs.replace(report, spec=msgspec.structs.replace(report.spec, task="regression")))
    shown, found, before = PageFilter(model="kws"), list[KeptRun](), ""
    while not found or before:
        runs, before = newest_that_fit(store, shown, before=before, most=2)
        found += runs

    assert [run.created for run in found] == [when(day) for day in reversed(range(8))]
