from __future__ import annotations

import re

import pytest
from tests.report.made_up import variants
from tests.report.made_up.factory import ARTIFACTS, LOCAL, make_report
from tests.report.made_up.variants import WITHHELD, replace

from edgekit.core.reports.report import Report
from edgekit.report import rows
from edgekit.report.plots import latency, tradeoff

NAMES = list(ARTIFACTS)
DOT = re.compile(r"M\d+ \d+h0")


def first_target(report: Report) -> rows.TargetView:
    return rows.targets(report)[0]


def test_every_launch_has_a_row_of_calls_a_row_of_warm_ups_and_a_median() -> None:
    row = first_target(make_report()).rows[0]

    picture = latency.launches(row, NAMES, "key")

    assert picture is not None
    assert picture.markup.count('class="dots c0"') == 6
    assert picture.markup.count('class="dots warm"') == 6
    assert picture.markup.count('class="median"') == 6


def test_calls_that_differ_are_all_drawn() -> None:
    report = make_report()
    values = tuple(1e-3 * 1.01**step for step in range(40))
    measurement = report.measurements[0]
    launch = replace(measurement.launches[0], values=values, warmups=())
    row = first_target(replace(report, measurements=(replace(measurement, launches=(launch,)),))).rows[0]

    picture = latency.launches(row, NAMES, "key")

    assert picture is not None
    assert len(DOT.findall(picture.markup)) == len(values)


def test_slow_calls_stand_in_the_margin_and_are_counted() -> None:
    row = first_target(make_report()).rows[0]

    picture = latency.launches(row, NAMES, "key")

    assert picture is not None
    assert re.fullmatch(r"In the margin: \d+ calls and \d+ warm-ups, the slowest \d+ µs\.", picture.caption)


def test_a_disturbed_launch_is_marked() -> None:
    row = rows.targets(make_report())[1].rows[0]

    picture = latency.launches(row, NAMES, "key")

    assert picture is not None
    assert ">4!<" in picture.markup
    assert picture.markup.count(" disturbed") == 1


def test_the_distribution_has_one_curve_a_launch_and_reaches_the_top() -> None:
    picture = latency.distribution(first_target(make_report()), NAMES, "key")

    assert picture is not None
    assert [picture.markup.count(f'class="curve c{number}"') for number in range(4)] == [6] * 4


@pytest.mark.parametrize("make", [variants.parity_failed, variants.emulated])
def test_withheld_times_are_in_no_picture(make: object) -> None:
    assert callable(make)
    for target in rows.targets(make()):
        for row in target.rows:
            if row.withheld:
                assert latency.launches(row, NAMES, "key") is None
        picture = latency.distribution(target, NAMES, "key")
        assert picture is None or all(f"{row.artifact}:" not in picture.markup for row in target.rows if row.withheld)


def test_the_trade_off_names_each_artifact_and_leaves_out_the_withheld() -> None:
    whole = tradeoff.picture(first_target(make_report()), NAMES, "key")
    without = tradeoff.picture(first_target(variants.parity_failed()), NAMES, "key")

    assert whole is not None
    assert without is not None
    assert whole.markup.count("<circle") == 4
    assert without.markup.count("<circle") == 3
    assert WITHHELD in whole.markup
    assert WITHHELD not in without.markup


def test_without_latency_the_trade_off_is_drawn_over_size() -> None:
    picture = tradeoff.picture(first_target(variants.validated()), NAMES, "key")

    assert picture is not None
    assert "Horizontal: size" in picture.caption


@pytest.mark.parametrize("make", [variants.bare, variants.unlabelled, variants.empty])
def test_without_quality_there_is_no_trade_off(make: object) -> None:
    assert callable(make)
    assert tradeoff.picture(first_target(make()), NAMES, "key") is None


def test_an_artifact_keeps_its_colour_whatever_is_shown() -> None:
    assert [latency.colour(NAMES, name) for name in NAMES] == [0, 1, 2, 3]
    assert latency.colour([LOCAL, *map(str, range(8)), "last"], "last") == 1


def test_a_single_call_can_be_drawn() -> None:
    report = make_report()
    measurement = report.measurements[0]
    launch = replace(measurement.launches[0], values=(1e-3,), warmups=())
    target = first_target(replace(report, measurements=(replace(measurement, launches=(launch,)),)))

    assert latency.launches(target.rows[0], NAMES, "key") is not None
    assert latency.distribution(target, NAMES, "other") is not None
