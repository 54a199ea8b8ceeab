"""Raw values are what a model's own pre-processing was given, to the bit where that was whole."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, Preprocessing, SeriesInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.raw_inputs import RawInput, layout_of, raw_input_of, raw_samples, raw_spec, wrapped
from edgekit.runtime.preprocessing import class_scores, image_tensor, is_raw

HOW = ImageInput(4, 5, channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), invert=True)
OTHER = ImageInput(
    4, 5, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), invert=True, divisor=127.5, color="bgr", layout="nhwc"
)
IMAGE = TensorSpec("image", "float32", ("N", 3, 4, 5))
SOUND = TensorSpec("audio", "float32", ("N", 6))


def spec_of(how: Preprocessing, tensor: TensorSpec) -> ModelSpec:
    outputs = (TensorSpec("logits", "float32", ("N", 2)),)
    return ModelSpec("net", "classification", (tensor,), outputs, preprocessing=how)


@pytest.mark.parametrize("how", [HOW, OTHER], ids=["rgb, nchw", "bgr, nhwc, 0 to 2"])
def test_pixels_come_back_from_what_was_made_of_them(how: ImageInput) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 4, 5, 3), dtype=np.uint8)
    made = np.concatenate([image_tensor(one, how) for one in pixels])

    found, change = raw_samples(Samples({"image": made}, np.arange(8)), spec_of(how, IMAGE))

    np.testing.assert_array_equal(found.inputs["image"], pixels)
    assert change == 0.0
    assert found.labels is not None


def test_values_between_two_pixels_are_rounded_and_told() -> None:
    made = image_tensor(np.full((4, 5, 3), 100, np.uint8), HOW) + np.float32(0.5 / 255 / 0.2 * 0.8)

    assert raw_samples(Samples({"image": made}), spec_of(HOW, IMAGE))[1] > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("how", [HOW, OTHER], ids=["rgb, nchw", "bgr, nhwc, 0 to 2"])
def test_a_wrapped_module_gets_what_a_file_would_give(how: ImageInput) -> None:
    torch = pytest.importorskip("torch")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)

    with torch.no_grad():
        found = wrapped(torch.nn.Identity(), RawInput(how, scores=False))(torch.from_numpy(pixels))

    assert isinstance(found, torch.Tensor)
    # One rounding of float32: torch divides tensors, numpy a value at a time.
    np.testing.assert_allclose(found.numpy(), np.concatenate([image_tensor(one, how) for one in pixels]), atol=1e-6)


def test_sound_comes_back_as_the_values_of_its_file() -> None:
    values = np.array([[-32768, -1, 0, 1, 256, 32767]], np.int16)
    made = values.astype(np.float32) / np.float32(32768)

    found, change = raw_samples(Samples({"audio": made}), spec_of(AudioInput(8000, 6), SOUND))

    np.testing.assert_array_equal(found.inputs["audio"], values)
    assert change == 0.0


def test_the_spec_says_what_is_taken_and_given() -> None:
    image, sound = raw_spec(spec_of(HOW, IMAGE)), raw_spec(spec_of(AudioInput(8000, 6), SOUND))

    assert [str(one.inputs[0]) for one in (image, sound)] == ["image:uint8[N,4,5,3]", "audio:int16[N,6]"]
    assert str(image.outputs[0]) == "scores:float32[N,2]"
    assert (layout_of(image), layout_of(spec_of(HOW, IMAGE)), layout_of(sound)) == ("NHWC", "NCHW", "")
    assert [is_raw(one) for one in (image, sound, spec_of(HOW, IMAGE))] == [True, True, False]


def test_scores_of_int8_are_not_made_scores_again() -> None:
    spec = raw_spec(spec_of(HOW, IMAGE))

    assert class_scores({"scores": np.array([[0.99609375, 0.0]])}, spec)[0] == ("0", 0.99609375)


def test_a_model_of_other_inputs_is_refused() -> None:
    with pytest.raises(UserError, match="does not say"):
        raw_input_of(spec_of(SeriesInput(("a",), 3), TensorSpec("x", "float32", ("N", 3))))
