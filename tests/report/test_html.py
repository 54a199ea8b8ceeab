from __future__ import annotations

import base64
import hashlib
import re
import sys
from pathlib import Path

import msgspec
import pytest
from tests.report.made_up import variants
from tests.report.made_up.factory import ARTIFACTS, LOCAL, PI, make_report
from tests.report.made_up.page import Page
from tests.report.made_up.variants import HOSTILE, VARIANTS, WITHHELD

from edgekit.core.errors import MissingExtra
from edgekit.core.reports.report import Report
from edgekit.core.verdict import Verdict
from edgekit.report import formatting, rows
from edgekit.report.pages import page as pages
from edgekit.report.pages.html import render_html
from edgekit.report.registry import write_report

MINUS = "\u2212"
TIME = re.compile(r"\d (?:s|ms|µs|ns)\b")


def page_of(report: Report) -> Page:
    return Page.of(render_html(report))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_page_is_well_formed_and_its_links_lead_somewhere(name: str) -> None:
    page = page_of(VARIANTS[name]())

    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    links = [element.attributes["href"] for element in page.all("a")]
    named = [part for element in page.elements for part in element.attributes.get("aria-labelledby", "").split()]
    assert page.faults == []
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert set(named) <= set(ids)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_page_loads_nothing_and_runs_nothing(name: str) -> None:
    page = page_of(VARIANTS[name]())

    sources = {
        value
        for element in page.elements
        for key, value in element.attributes.items()
        if key in ("href", "src", "srcset", "action", "data", "xlink:href")
    }
    handlers = [key for element in page.elements for key in element.attributes if key.startswith("on")]
    assert all(source.startswith("#") or source == "data:," for source in sources)
    assert handlers == []
    assert not {element.tag for element in page.elements} & {"script", "iframe", "object", "embed", "img", "form"}
    assert not [element for element in page.elements if "style" in element.attributes]


def test_a_page_names_no_address() -> None:
    assert "://" not in render_html(make_report())


def test_the_policy_allows_the_style_sheet_of_the_page_and_nothing_else() -> None:
    page = page_of(make_report())

    policy = next(one.attributes["content"] for one in page.all("meta") if "http-equiv" in one.attributes)
    digest = hashlib.sha256(page.all("style")[0].text.encode()).digest()
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "script" not in policy


def test_names_from_outside_are_text_and_never_markup() -> None:
    page = page_of(variants.hostile())

    shown = formatting.clean(HOSTILE)
    assert not page.all("script")
    assert page.all("h1")[0].text.strip() == shown
    assert page.text.count(shown) > 50
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", page.text)


@pytest.mark.parametrize("make", [variants.passed, variants.failed, variants.undecided], ids=lambda make: make.__name__)
def test_the_verdict_comes_first_and_titles_the_page(make: object) -> None:
    assert callable(make)
    report = make()
    page = page_of(report)

    word = pages.WORDS[report.verdict]
    assert page.all("title")[0].text.startswith(f"{word}: ")
    assert page.all("p", " verdict ")[0].text.startswith(word)
    assert page.text.index(word) < page.text.index("Artifacts")


def test_every_artifact_has_its_figures_with_intervals_on_every_target() -> None:
    report = make_report()
    page = page_of(report)

    tables = page.all("table", " figures-table ")
    assert len(tables) == 2
    for table, target in zip(tables, rows.targets(report), strict=True):
        for row in target.rows:
            assert row.accuracy is not None
            figures = [(row.quantile(name), "s") for name in ("p50", "p90", "p99")]
            figures += [(row.accuracy.quality, "ratio"), (row.accuracy.drop, "points")]
            for estimate, unit in figures:
                assert formatting.quantity(estimate, unit).replace("-", MINUS) in table.text
                assert formatting.interval(estimate, unit).replace("-", MINUS) in table.text
            assert row.artifact in table.text
            assert row.counts in table.text


def test_the_chosen_artifact_is_marked_in_words() -> None:
    page = page_of(make_report())

    chosen = [row.text for row in page.all("tr", " chosen ")]

    assert len(chosen) == 2
    assert all("onnx-int8-static-u8s8 chosen" in " ".join(text.split()) for text in chosen)


def test_every_budget_shows_verdict_value_and_miss() -> None:
    report = variants.failed()
    text = page_of(report).text

    for check in report.budgets:
        assert check.budget in text
        assert formatting.quantity(check.estimate, check.display_unit) in text
        assert formatting.beyond(check) in text


def test_a_missing_figure_shows_its_reason() -> None:
    assert "3 launches, 5 are needed" in page_of(variants.few_launches()).text
    assert "the samples have no labels" in page_of(variants.unlabelled()).text


def test_device_facts_show_what_is_missing_and_why() -> None:
    report = make_report()
    pairs = page_of(report).text

    for text in ("Cortex-A76", "2.40 GHz", "51.6 °C", "25.3 GB", "avx512_vnni", "performance"):
        assert text in pairs
    for reason in report.facts[LOCAL].missing.values():
        assert f"– {reason}" in pairs


def test_trust_shows_grade_reasons_and_what_would_raise_it() -> None:
    page = page_of(make_report())

    grades = [one.text for one in page.all("span", " grade ")]
    assert grades == ["A", "B"]
    assert "1 of 6 launches were disturbed" in page.text
    assert "To raise it: Stop other work on the device." in page.text


def test_samples_records_warnings_and_stages_are_shown() -> None:
    report = make_report()
    text = page_of(report).text

    assert "1,797 samples, split with seed 0" in text
    for expected in (
        "opset 18",
        "options.calibration.method minmax",
        "litert-torch 0.10.0",
        "n8 (N=8)",
        "torch 2.13.0",
    ):
        assert expected in text
    for warning in rows.warnings(report):
        assert warning in text
    assert all(stage in text for stage in report.stages)
    assert "2026-03-02 09:41 UTC" in text


def test_a_failed_target_says_at_the_top_how_near_it_came() -> None:
    report = variants.failed()

    cards = [one.text for one in page_of(report).all("section", " card ") if "nearest is" in one.text]

    assert len(cards) == 2
    for card, target in zip(cards, (LOCAL, PI), strict=True):
        (check,) = rows.nearest_misses(report, target)
        assert check.metric == "latency"
        assert f"{formatting.beyond(check)} ({check.artifact})" in " ".join(card.split())


def test_a_parity_failure_is_told_at_the_top_with_output_and_sample() -> None:
    page = page_of(variants.parity_failed())

    told = page.all("ul", " reasons ")[0].text

    for part in (WITHHELD, "litert", "logits", "batch 5", "3.1 dB", "at least 20.0 dB", "sample 7 of 32"):
        assert part in told


def test_no_time_of_an_artifact_that_failed_parity_is_anywhere() -> None:
    report = variants.parity_failed()
    page = page_of(report)

    rows = [row.text for row in page.all("tr") if row.text.strip().startswith(WITHHELD)]
    pictures = [picture.text for picture in page.all("svg", " plot ")]
    assert len(rows) >= 4
    assert not [row for row in rows if TIME.search(row)]
    assert not [text for text in pictures if WITHHELD in text]
    for latency in report.latency:
        if latency.artifact == WITHHELD:
            assert formatting.interval(latency.quantiles["p90"], "s") not in page.text


def test_an_emulated_target_shows_the_word_and_no_time() -> None:
    page = page_of(variants.emulated())

    table = page.all("table", " figures-table ")[1]
    assert table.text.count("emulated") == len(ARTIFACTS)
    assert not TIME.search(table.text)
    assert not [one for one in page.all("svg", " plot ") if PI in one.text and "latency" in one.text]
    assert [one.text for one in page.all("span", " grade ")] == ["A", "E"]


def test_counted_instructions_stand_beside_the_word() -> None:
    page = page_of(variants.counted())

    assert "instructions" not in page.all("table", " figures-table ")[0].text
    assert page.all("table", " figures-table ")[1].text.count("467,729") == len(ARTIFACTS)


def test_every_picture_has_a_name_and_every_table_has_headers() -> None:
    page = page_of(make_report())

    pictures, tables = page.all("svg"), page.all("table")
    assert all(
        one.attributes.get("role") == "img" or "aria-hidden" in one.attributes
        for one in pictures
        if "class" in one.attributes
    )
    assert all(one.attributes.get("aria-labelledby") for one in page.all("svg", " plot "))
    assert len(page.all("thead")) == len(tables) > 0
    assert all(one.attributes.get("scope") in ("col", "row") for one in page.all("th"))
    assert len(pictures) > 10


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"

    write_report(make_report(), path)

    assert path.read_text(encoding="utf-8") == render_html(make_report())
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]


def test_without_jinja2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pages.environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(MissingExtra) as caught:
        render_html(make_report())

    pages.environment.cache_clear()
    assert caught.value.hint == 'pip install "jinja2>=3.1.6"'


def test_a_long_report_stays_small() -> None:
    calls = sum(len(launch.values) for one in make_report().measurements for launch in one.launches)

    size = len(render_html(make_report()).encode())

    # Every call is drawn, twice: a file above 30 bytes a call would say that paths are not merged.
    assert size < 30 * calls


def test_an_undecided_verdict_is_not_called_a_failure() -> None:
    report = variants.undecided()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "verdict fail" not in render_html(report)


def test_operators_load_energy_and_causes_have_their_places() -> None:
    text = render_html(variants.deep())

    assert all(part in text for part in ("60.00 %", "throttled after 80.0 s", "energy per call", "200 µJ", "10,000"))
    assert text.count("under load: ") == 1
    assert 'id="why"' in text
    assert 'id="why"' not in render_html(variants.passed())


def test_what_changed_on_the_device_stands_beside_what_was() -> None:
    report = make_report()
    later = {PI: msgspec.structs.replace(report.facts[PI], temperature_c=71.5)}

    text = render_html(msgspec.structs.replace(report, facts_after=later))

    before = report.facts[PI].temperature_c
    assert f"{before:.1f} °C, then 71.5 °C" in text
