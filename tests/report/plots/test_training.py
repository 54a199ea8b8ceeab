from __future__ import annotations

import re

from tests.report.made_up import variants
from tests.report.made_up.page import Page
from tests.report.made_up.variants import replace

from edgekit.core.reports.report import Training
from edgekit.report.markdown import render_markdown
from edgekit.report.pages.html import render_html
from edgekit.report.plots.training import pictures, sentence


def training() -> Training:
    found = variants.trained().training
    assert found is not None
    return found


def test_every_attempt_is_a_line_of_its_own_in_every_picture() -> None:
    drawn = pictures(training(), "key")

    assert [picture.title for picture in drawn] == ["Loss", "Validation accuracy", "Learning rate"]
    for picture in drawn:
        assert len(re.findall(r'class="curve c[01]"', picture.markup)) == 2


def test_the_axis_counts_whole_epochs() -> None:
    drawn = pictures(training(), "key")[0].markup

    labels = re.findall(r'<text x="[\d.]+%"[^>]*>(\d+)</text>', drawn)
    assert labels == ["1", "2", "4", "6", "8", "10", "12"]


def test_one_epoch_is_a_dot_and_no_metric_is_no_picture() -> None:
    one = replace(training().epochs[0], metric=None)

    drawn = pictures(replace(training(), epochs=(one,)), "key")

    assert [picture.title for picture in drawn] == ["Loss", "Learning rate"]
    assert 'class="dots c0"' in drawn[0].markup


def test_the_result_stands_above_the_pictures() -> None:
    page = Page.of(render_html(variants.trained()))

    assert [heading.text.strip() for heading in page.all("h2")] == ["Training", "Reproduce this"]
    assert "### Training\n\n- accuracy 99.10 %" in render_markdown(variants.trained())
    assert sentence(training()) == (
        "accuracy 99.10 % [98.00, 99.50] on the test split of digits, floor 98.50 %; 24 epochs in 36.0 s."
    )
