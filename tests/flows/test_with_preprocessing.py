"""`--with-preprocessing`: raw pixels in, scores out, the same in both formats; a wrong mean is found and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.flows.planting import Damage, damaged, onnx_weight, tflite

import edgekit
from edgekit.core.bundle import Bundle
from edgekit.core.errors import UserError
from edgekit.core.verdict import Verdict
from edgekit.flows.bisect import bisect
from edgekit.flows.export import export_order
from edgekit.flows.opening.source import ExportOptions, SourceOptions
from edgekit.flows.run import run

FOUR = "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST with its pre-processing inside, on the samples that are shipped."""
    out = tmp_path_factory.mktemp("raw") / "bundle"
    report = edgekit.export_model("mnist", out=out, to=FOUR, how=ExportOptions(raw=True))
    assert report.verdict is Verdict.PASS
    return out


@pytest.mark.slow
def test_both_formats_take_the_same_pixels_and_give_the_same_scores(raw: Path) -> None:
    with Bundle.open(raw) as bundle:
        assert {artifact.layout for artifact in bundle.artifacts} == {"NHWC"}
        assert {str(artifact.inputs[0]) for artifact in bundle.artifacts} == {"image:uint8[N,28,28,1]"}

    found = [run(raw, input=["sample:3"], artifact=name).answers[0] for name in FOUR.split(",")]

    assert len({answer.scores[0].label for answer in found}) == 1
    np.testing.assert_allclose(found[0].outputs["scores"], found[2].outputs["scores"], atol=1e-5)
    assert all(abs(answer.scores[0].probability - found[0].scores[0].probability) < 0.05 for answer in found)


@pytest.mark.slow
def test_run_feeds_the_pixels_of_a_file(raw: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    with Bundle.open(raw) as bundle:
        samples = bundle.samples()
        assert samples is not None
        pixels = samples.inputs["image"][0]
        expected = samples.expected["scores"][0]
    image.fromarray(pixels[..., 0]).save(tmp_path / "digit.png")

    answer = run(raw, input=[tmp_path / "digit.png"], artifact="onnx-fp32").answers[0]

    np.testing.assert_allclose(answer.outputs["scores"][0], expected, atol=1e-5)


def darker(values: np.ndarray) -> np.ndarray:
    """255 is where white is; this file says 240."""
    return np.asarray(values * np.float32(240 / 255))


def tflite_divisor(path: Path) -> None:
    """The same fault where the division has become a product."""

    def change(model: object) -> None:
        graph = model.subgraphs[0]  # type: ignore[attr-defined]  # the schema's object
        product = graph.operators[1]
        buffer = model.buffers[graph.tensors[product.inputs[1]].buffer]  # type: ignore[attr-defined]  # the same
        factor = np.frombuffer(bytes(buffer.data), np.float32) * np.float32(255 / 240)
        buffer.data = np.frombuffer(factor.astype(np.float32).tobytes(), np.uint8)

    tflite(change)(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "damage", "against"),
    [
        ("onnx-fp32", onnx_weight("val_1", darker), "torch"),
        ("onnx-fp32", onnx_weight("val_1", darker), "tflite-fp32"),
        ("tflite-fp32", tflite_divisor, "onnx-fp32"),
    ],
)
def test_a_wrong_normalization_is_caught_and_named(
    raw: Path, tmp_path: Path, recipe: str, damage: Damage, against: str
) -> None:
    bundle = damaged(raw, tmp_path / "bundle", recipe, damage)

    report = edgekit.validate(bundle, artifact=[recipe])
    result = bisect(bundle, against, recipe)

    assert report.verdict is Verdict.FAIL
    assert result.first == 1
    assert {result.aligned[1].operator_a, result.aligned[1].operator_b} & {"Div", "MUL", "div"}


def test_a_model_that_is_no_image_or_sound_is_refused(nets: Path, digit_samples: Path, tmp_path: Path) -> None:
    options = SourceOptions(samples=digit_samples)
    order = export_order(f"{nets}:small", out=tmp_path / "a", options=options, how=ExportOptions(raw=True))

    with pytest.raises(UserError, match="does not say that its input is an image"), order:
        pass
