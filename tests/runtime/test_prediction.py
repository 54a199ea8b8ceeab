"""`session.predict`: what a program has goes in, what a person reads comes out, as with `edgekit run`."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.instructions import instructions

import edgekit
from edgekit.core.errors import UserError
from edgekit.runtime.prediction import feed_of

DATA = Path(__file__).parent / "data"


@pytest.fixture
def light(tmp_path: Path) -> Path:
    """An image of 6 x 6 pixels, brighter on one side."""
    path = tmp_path / "light.png"
    Image.fromarray(np.linspace(100, 250, 36).astype(np.uint8).reshape(6, 6)).save(path)
    return path


def test_an_image_is_the_same_as_path_text_pillow_and_pixels(classifier: Path, light: Path) -> None:
    rgb = Image.open(light).convert("RGB")
    given = [light, str(light), Image.open(light), np.asarray(Image.open(light)), np.asarray(rgb)]
    (answer,) = edgekit.run(classifier, input=[light]).answers

    with edgekit.load(classifier) as session:
        found = [session.predict(value) for value in given]

    expected = [(one.label, one.probability) for one in answer.scores]
    assert [list(one.scores) for one in found] == [expected] * len(given)
    assert {one.label for one in found} == {"light"}


def test_an_array_is_the_input_itself_with_or_without_the_batch(classifier: Path) -> None:
    bright = np.ones((1, 4, 4), np.float32)

    with edgekit.load(classifier) as session:
        given = [bright, bright[None], {"image": bright}, bright.astype(np.float64)]
        found = [session.predict(value) for value in given]

    assert [one.label for one in found] == ["light"] * len(given)
    np.testing.assert_array_equal(found[0].outputs["logits"], [[-16, 16]])


def test_a_sound_is_the_same_as_file_and_as_array(loud: Path, tmp_path: Path) -> None:
    values = np.array([9000, -9000, 9000, -9000, 100], np.int16)
    path = tmp_path / "noise.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(values.tobytes())

    with edgekit.load(loud) as session:
        found = [session.predict(value) for value in (path, values, values.astype(np.float32) / 32768)]

    assert {one.label for one in found} == {"noise"}
    assert len({one.scores for one in found}) == 1


def test_a_sentence_a_curve_and_an_image_come_out(translator: Path, forecaster: Path, painter: Path) -> None:
    (answer,) = edgekit.run(translator, input=["a good film"]).answers

    with edgekit.load(translator) as session:
        assert session.predict("a good film").text == answer.text != ""
    with edgekit.load(forecaster) as session:
        curve = session.predict(np.array([1, 2, 3], np.float32)).curve
        assert curve is not None
        np.testing.assert_array_equal(curve, [11, 12, 13])
    with edgekit.load(painter) as session:
        (noise,) = session.inputs
        shape = [1 if isinstance(axis, str) else axis for axis in noise.shape]
        image = session.predict(np.zeros(shape, np.float32)).image
        assert image is not None
        assert image.dtype == np.uint8


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "'light' takes no int"),
        ("missing.png", "does not exist"),
        (np.zeros((4, 4, 7), np.uint8), r"neither \(H, W\) nor \(H, W, 3\)"),
        ({"picture": np.zeros((1, 4, 4), np.float32)}, "'image' is missing"),
        (np.zeros((1, 4, 4), np.complex64), "has dtype complex64"),
        (np.zeros((1, 5, 4), np.float32), "does not fit"),
        (np.zeros((0, 1, 4, 4), np.float32), "contains no samples"),
    ],
    ids=["number", "missing file", "colours", "name", "dtype", "shape", "empty"],
)
def test_what_does_not_fit_says_so(classifier: Path, value: object, message: str) -> None:
    with edgekit.load(classifier) as session, pytest.raises(UserError, match=message):
        session.predict(value)


def test_integers_for_a_float_input_are_real_numbers_as_in_run(classifier: Path) -> None:
    with edgekit.load(classifier) as session:
        found = session.predict(np.full((1, 1, 4, 4), 2, np.int64))

    np.testing.assert_array_equal(found.outputs["logits"], [[-32, 32]])


def test_a_bare_file_takes_arrays_and_what_else_a_session_does() -> None:
    x = np.ones((1, 3), np.float32)

    with edgekit.load(DATA / "linear.tflite") as session:
        np.testing.assert_array_equal(session.predict(x).outputs["y"], session.run({"x": x})["y"])
        np.testing.assert_array_equal(session.bind({"x": x})()["y"], session.run({"x": x})["y"])
        assert session.sizes
    with pytest.raises(UserError, match="closed"):
        session.predict(x)


def test_predict_does_little_more_than_preparing_and_running(classifier: Path) -> None:
    """Its time, at most ten microseconds, is measured by `benchmarks/runtime_overhead.py`."""
    pixels = np.zeros((6, 6), np.uint8)

    with edgekit.load(classifier) as session:
        session.predict(pixels)
        whole = instructions(lambda: session.predict(pixels))
        parts = instructions(lambda: session.run(feed_of(pixels, session.spec)))

    assert parts < whole <= parts + 100
