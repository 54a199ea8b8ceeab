"""The sample on which an artifact fails travels in the bundle, so that `validate` finds what `export` found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.flows import onnx_files

import edgekit
from edgekit.core.bundle import Bundle
from edgekit.core.recipe import parse_recipes
from edgekit.core.samples import Samples, split
from edgekit.core.system.progress import Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.opening.source import Source, SourceOptions, open_source
from edgekit.flows.writing.bundle import KEPT_SAMPLES, Written, write_bundle

RECIPE = "onnx-int8-static-u8s8"
ROWS = 200


def rows() -> np.ndarray:
    """Samples of which the last one is far beyond the others, and held back from calibration."""
    rng = np.random.default_rng(0)
    found = rng.uniform(-1, 1, (ROWS, 8)).astype(np.float32)
    while True:
        found[-1] = rng.uniform(100, 200, 8)
        parts = split(Samples({"x": found}), calibration=128)
        if np.array_equal(parts.evaluation.inputs["x"][-1], found[-1]):
            return found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("outlier")
    np.savez(folder / "s.npz", x=rows())
    return open_source(str(onnx_files.dense(folder / "net.onnx")), SourceOptions(samples=folder / "s.npz"), Settings())


def written(source: Source, folder: Path) -> Written:
    folder.mkdir()
    return write_bundle(source, parse_recipes([RECIPE]), folder, Settings(), Silent())


@pytest.mark.slow
def test_a_failing_sample_travels_and_fails_again(source: Source, tmp_path: Path) -> None:
    made = written(source, tmp_path / "bundle")
    last = len(source.split.evaluation) - 1

    again = edgekit.validate(tmp_path / "bundle")

    assert {check.sample for check in made.parity if check.verdict is Verdict.FAIL and check.case == "samples"} == {
        last
    }
    with Bundle.open(tmp_path / "bundle") as bundle:
        kept = bundle.samples()
    assert kept is not None
    assert np.array_equal(kept.inputs["x"][-1], source.split.evaluation.inputs["x"][last])
    assert again.verdict is Verdict.FAIL
    assert f"Sample {last}, on which {RECIPE} failed, is sample {KEPT_SAMPLES} of the bundle." in made.warnings


@pytest.mark.slow
def test_of_restricted_data_the_checksum_travels(source: Source, tmp_path: Path) -> None:
    made = written(replace(source, terms="terms of the data"), tmp_path / "bundle")

    failing = source.split.evaluation.take([len(source.split.evaluation) - 1])
    (warning,) = (text for text in made.warnings if "sha256" in text)

    assert failing.digest() in warning
    assert "--include-samples" in warning
    assert not (tmp_path / "bundle" / "samples.npz").exists()
