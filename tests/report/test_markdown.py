from __future__ import annotations

import re

import pytest
from tests.report.made_up import variants
from tests.report.made_up.factory import ARTIFACTS, LOCAL, PI, make_report
from tests.report.made_up.variants import VARIANTS, WITHHELD

from edgekit.report import formatting
from edgekit.report.markdown import code, prose, render_markdown


def test_the_headline_is_the_verdict() -> None:
    assert render_markdown(make_report()).startswith("## edgekit build `digits`: pass\n")
    assert render_markdown(variants.failed()).startswith("## edgekit build `digits`: FAIL\n")


def test_each_target_has_a_table_of_all_artifacts() -> None:
    text = render_markdown(make_report())

    assert f"### `{LOCAL}`" in text
    assert f"### `{PI}`" in text
    for name in ARTIFACTS:
        assert len(re.findall(rf"^\| `{name}`", text, re.MULTILINE)) == 2


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(name: str) -> None:
    lines = render_markdown(VARIANTS[name]()).splitlines()

    tables = [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")]
    heads = [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("| artifact")]

    assert set(tables) == set(heads)


def test_figures_carry_intervals_and_reasons() -> None:
    report = make_report()
    text = render_markdown(report)

    for latency in report.latency:
        shown = formatting.quantity(latency.quantiles["p90"], "s")
        between = formatting.interval(latency.quantiles["p90"], "s").replace("[", "\\[").replace("]", "\\]")
        assert f"{shown} {between}" in text
    assert "3 launches, 5 are needed" in render_markdown(variants.few_launches())


def test_no_time_of_a_withheld_artifact_is_shown() -> None:
    lines = render_markdown(variants.parity_failed()).splitlines()

    shown = [line for line in lines if WITHHELD in line]

    assert len(shown) > 4
    assert not [line for line in shown if re.search(r"\d (?:s|ms|µs)\b", line)]


@pytest.mark.parametrize(
    ("text", "span"),
    [("plain", "`plain`"), ("a`b", "``a`b``"), ("``", "``` `` ```"), ("", "` `"), ("a\nb", "`a b`")],
)
def test_a_code_span_holds_any_name(text: str, span: str) -> None:
    assert code(text) == span


def test_prose_from_outside_is_neither_markup_nor_a_mention() -> None:
    text = prose("<img src=x> **bold** [link](http://x) `code` @team #12")

    assert "<" not in text.replace("\\<", "")
    assert "**" not in text
    assert not re.search(r"(?<!\\)[\[`]", text)
    assert "@team" not in text
    assert "#12" not in text


def test_a_hostile_name_stays_inside_its_code_span() -> None:
    text = render_markdown(variants.hostile())

    outside = re.sub(r"(`+).+?(?<!`)\1(?!`)", "", text)

    assert not re.search(r"(?<!\\)<script", outside)
