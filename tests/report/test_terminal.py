from __future__ import annotations

import io
import re
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.report.made_up import variants
from tests.report.made_up.factory import ARTIFACTS, make_report
from tests.report.made_up.variants import VARIANTS, WITHHELD

from edgekit.core.reports.report import Report
from edgekit.core.verdict import Verdict
from edgekit.report import formatting, rows, verdicts
from edgekit.report.markdown import render_markdown
from edgekit.report.pages.html import render_html
from edgekit.report.terminal import render

TIME = re.compile(r"\d (?:s|ms|µs|ns)\b")


def printed(report: Report, width: int = 80, **options: Any) -> str:
    file = io.StringIO()
    render(report, Console(file=file, width=width, **options))
    return file.getvalue()


@pytest.mark.parametrize("name", VARIANTS)
def test_no_line_is_wider_than_80_columns(name: str) -> None:
    assert max(map(cell_len, printed(VARIANTS[name]()).splitlines())) <= 80


@pytest.mark.parametrize("name", VARIANTS)
def test_the_last_line_is_the_verdict_in_plain_text(name: str) -> None:
    report = VARIANTS[name]()

    last = printed(report).splitlines()[-1]

    if verdicts.is_measured(report):
        assert last.startswith("MEASURED with trust ")
    else:
        assert last.startswith(f"VERDICT: {formatting.VERDICTS[report.verdict]}")


@pytest.mark.parametrize("name", VARIANTS)
def test_at_60_columns_no_line_is_wider_and_no_name_is_broken(name: str) -> None:
    # Tables were drawn 80 columns wide whatever the terminal, which broke them within words.
    report = VARIANTS[name]()

    lines = printed(report, width=60).splitlines()

    assert not [line for line in lines if cell_len(line) > 60 and " " in line.strip()]
    names = [formatting.clean(one.recipe) for one in report.artifacts]
    for recipe in (name for name in names if len(name) < 50 and " " not in name):
        assert any(recipe in line for line in lines)


def test_without_a_criterion_a_report_is_measured_and_has_not_passed() -> None:
    # 'profile' of a bare file ended with VERDICT: pass.
    measured = msgspec.structs.replace(
        make_report(), command="profile", parity=(), budgets=(), accuracy=(), failures=(), verdict=Verdict.PASS
    )

    text, page, marked = printed(measured), render_html(measured), render_markdown(measured)

    grades = sorted({one.trust.grade for one in measured.latency})
    assert f"MEASURED with trust {grades[0]}" in text
    assert "VERDICT" not in text
    assert "outcome" not in text
    assert "<title>Measured: edgekit profile" in page
    assert 'class="verdict"' in page
    assert marked.splitlines()[0].endswith(": measured")
    assert "**pass**" not in marked


@pytest.mark.parametrize("name", VARIANTS)
def test_a_pipe_gets_no_escapes_and_no_trailing_spaces(name: str) -> None:
    text = printed(VARIANTS[name]())

    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_a_terminal_gets_colours_unless_no_color_is_set() -> None:
    colour = re.compile(r"\x1b\[[\d;]*3\d")

    assert colour.search(printed(make_report(), force_terminal=True, color_system="standard"))
    assert not colour.search(printed(make_report(), force_terminal=True, color_system="standard", no_color=True))


def test_every_artifact_stands_whole_on_one_line_of_each_target() -> None:
    lines = printed(make_report()).splitlines()

    for name in ARTIFACTS:
        assert len([line for line in lines if line.startswith(f"{name} ")]) == 2


def test_quantiles_and_drops_carry_their_interval() -> None:
    report = make_report()
    text = printed(report)

    for latency in report.latency:
        for name in ("p50", "p90"):
            estimate = latency.quantiles[name]
            assert formatting.quantity(estimate, "s") in text
            assert formatting.interval(estimate, "s", form="{}..{}") in text
    for accuracy in report.accuracy:
        assert formatting.interval(accuracy.drop, "points", form="{}..{}") in text


def test_budgets_say_by_how_much_they_were_missed() -> None:
    report = variants.failed()
    text = " ".join(printed(report).split())

    missed = [check for check in report.budgets if check.verdict is Verdict.FAIL]

    assert len(missed) > 8
    assert all(f"{formatting.beyond(check)}" in text for check in missed)


def test_outcomes_name_the_chosen_artifact_or_the_reason() -> None:
    assert "outcome pass, chosen onnx-int8-static-u8s8" in printed(make_report())
    assert "outcome FAIL: no artifact meets every budget" in printed(variants.failed())


def test_an_artifact_that_failed_parity_shows_no_time() -> None:
    text = printed(variants.parity_failed())

    lines = [line for line in text.splitlines() if WITHHELD in line]

    assert len(lines) > 8
    assert not [line for line in lines if TIME.search(line)]
    assert text.count(rows.FAILED_PARITY) >= 2
    assert "sample 7 of 32" in " ".join(text.split())


def test_an_emulated_target_shows_the_word_and_no_time() -> None:
    text = printed(variants.emulated())
    emulated = text[text.index("pi5/") :]

    assert emulated.count("emulated  emulated") == len(ARTIFACTS)
    assert not TIME.search(emulated)


def test_counted_instructions_take_the_place_of_latency() -> None:
    text = printed(variants.counted())
    counted = text[text.index("pi5/") :]

    assert counted.count("467,729") == len(ARTIFACTS)
    assert "p50" not in counted
    assert not TIME.search(counted)
    assert max(map(len, text.splitlines())) <= 80


def test_a_missing_figure_has_its_reason_once() -> None:
    text = " ".join(printed(variants.few_launches()).split())

    assert text.count("no p50, 3 launches, 5 are needed") == 2


def test_names_are_never_read_as_markup() -> None:
    report = make_report()
    named = variants.replace(report, warnings=("[bold red]not markup[/]",))

    assert "[bold red]not markup[/]" in printed(named)


def test_trust_is_given_with_what_would_raise_it() -> None:
    text = " ".join(printed(make_report()).split())

    assert "trust A: no reservations." in text
    assert "trust B: 1 of 6 launches were disturbed. To raise it: Stop other work on the device." in text


def test_a_narrow_terminal_gets_the_same_figures() -> None:
    wide, narrow = (set(printed(make_report(), width=width).split()) for width in (80, 40))

    assert {word for word in wide if word[0].isdigit()} <= narrow


def test_a_recipe_that_was_not_made_is_listed_with_its_reason() -> None:
    text = printed(variants.not_made())

    assert "FAIL onnx-fp16, tflite-fp16: the converter crashed\n    edgekit doctor" in text
    assert "made 4 of 6" in text.splitlines()[-1]


def test_operators_load_and_causes_are_told() -> None:
    text = printed(variants.deep())

    assert "60.0%   3.00 µs  3 layers too small" in text
    assert "103 µs at first, 127 µs at the end: +25.0 % (+20.0 % to +30.0 %); 40 to 55 °C" in " ".join(text.split())
    assert "layers too small: layers too small (onnx-fp32 on local)" in text
    assert "not explained: layers too small" in text
