"""A build's report shows samples that are images: what int8 changed, or the boxes of both, inside the page."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgekit.core.reports.pictured_samples import Pictures
from edgekit.core.reports.report import Report
from edgekit.core.samples import Samples
from edgekit.core.system.progress import Silent
from edgekit.flows.export import export
from edgekit.flows.opening.artifacts import Opened, opened
from edgekit.flows.saliency.pictured import with_pictures
from edgekit.report.registry import write_report

IMAGE = re.compile(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"')


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a small real network."""
    path = tmp_path_factory.mktemp("pictured") / "digits"
    export("digits", to=("onnx-fp32", "onnx-int8-static"), out=path)
    return path


def pictures_of(found: Opened) -> tuple[Report, Pictures]:
    report = Report(command="build", created="2026-01-01T00:00:00+00:00", spec=found.spec, artifacts=found.artifacts)
    shown = with_pictures(report, found, Silent())
    assert shown.pictures is not None
    return shown, shown.pictures


def test_without_a_change_the_nearest_sample_is_in_the_page(digits: Path, tmp_path: Path) -> None:
    with opened(digits) as found:
        report, pictures = pictures_of(found)
    write_report(report, tmp_path / "report.html")

    page = (tmp_path / "report.html").read_text()
    (sample,) = pictures.samples
    assert [panel.title for panel in sample.panels[1:3]] == ["onnx-fp32", pictures.artifact]
    assert sample.panels[3].text.startswith("correlation 0.9")
    assert len(IMAGE.findall(page)) == 4
    with Image.open(io.BytesIO(base64.b64decode(IMAGE.findall(page)[0][0]))) as first:
        assert first.size == (256, 256)


def test_changed_samples_are_shown_and_the_others_counted(digits: Path) -> None:
    with opened(digits) as found:
        # Five samples for which the reference said another class than any file does.
        expected = found.samples.expected["logits"].copy()
        expected[:5] = np.roll(expected[:5], 1, axis=1)
        samples = Samples(found.samples.inputs, found.samples.labels, expected={"logits": expected})
        _, pictures = pictures_of(dataclasses.replace(found, samples=samples))

    assert len(pictures.samples) == 3
    assert all(one.sample < 5 for one in pictures.samples)
    assert f"likeliest class of 5 of {len(samples)} samples" in pictures.text
    assert pictures.notes[0].startswith("2 more changed;")


def test_a_name_from_the_bundle_is_escaped(digits: Path, tmp_path: Path) -> None:
    with opened(digits) as found:
        labels = tuple(f"<script>{number}</script>" for number in range(10))
        spec = msgspec.structs.replace(found.spec, labels=labels)
        report, _ = pictures_of(dataclasses.replace(found, spec=spec))
    write_report(report, tmp_path / "report.html")

    page = (tmp_path / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_samples_that_are_arrays_have_no_pictures(forecaster: Path) -> None:
    with opened(forecaster) as found:
        report = Report(
            command="build", created="2026-01-01T00:00:00+00:00", spec=found.spec, artifacts=found.artifacts
        )

        assert with_pictures(report, found, Silent()).pictures is None
