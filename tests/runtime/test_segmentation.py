"""Masks of a network: read from each form, enlarged as in a plain loop, compared with what is known."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SegmentationOutput
from edgekit.core.spec.tensor_spec import Axis, TensorSpec
from edgekit.runtime.segmentation import MASK, mask_of, masks, miou, pixel_accuracy, resized, shares

HEIGHT, WIDTH = 6, 8
TRUE = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 2
SCORES = np.stack([1 - TRUE, TRUE]).astype(np.float32)
FORMS = {
    "classes first": (SegmentationOutput("y"), SCORES),
    "classes last": (SegmentationOutput("y", channels_last=True), SCORES.transpose(1, 2, 0)),
    "one logit": (SegmentationOutput("y"), SCORES[1:] - SCORES[:1]),
    "one probability": (SegmentationOutput("y", threshold=0.5), SCORES[1:]),
    "one logit, classes last": (SegmentationOutput("y", channels_last=True), (SCORES[1:] - 0.5).transpose(1, 2, 0)),
    "one logit without an axis": (SegmentationOutput("y"), SCORES[1] - SCORES[0]),
}


def spec(how: SegmentationOutput, size: tuple[Axis, Axis] = (HEIGHT, WIDTH)) -> ModelSpec:
    image = TensorSpec("image", "float32", ("N", 3, *size))
    return ModelSpec("net", "segmentation", (image,), labels=("ground", "cat"), postprocessing=how)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_mask(form: str) -> None:
    how, array = FORMS[form]

    found = list(masks({"y": np.stack([array, array])}, spec(how), [TRUE.shape, TRUE.shape]))

    assert [mask.tolist() for mask in found] == [TRUE.tolist()] * 2


def test_batches_of_one_are_samples() -> None:
    array = np.stack([SCORES, SCORES])[:, None]
    samples = Samples({"image": np.zeros((2, 1, 3, HEIGHT, WIDTH))}, targets={MASK: np.stack([TRUE, TRUE])[:, None]})

    assert miou({"y": array}, samples, spec(SegmentationOutput("y")))(np.arange(2)) == 1


def between(planes: Any, height: int, width: int) -> Any:
    """The reference implementation: each place by the four centres around it."""
    made = np.empty((len(planes), height, width))
    for y in range(height):
        for x in range(width):
            value = 0.0
            for row, across in weights(y, planes.shape[1] / height, planes.shape[1]):
                for column, along in weights(x, planes.shape[2] / width, planes.shape[2]):
                    value = value + across * along * planes[:, row, column]
            made[:, y, x] = value
    return made


def weights(place: int, step: float, have: int) -> list[tuple[int, float]]:
    centre = min(max((place + 0.5) * step - 0.5, 0.0), have - 1.0)
    low = int(centre)
    return [(low, 1 - (centre - low)), (min(low + 1, have - 1), centre - low)]


@pytest.mark.parametrize("size", [(12, 16), (7, 5), (1, 1), (6, 8), (13, 3)])
def test_scores_are_enlarged_between_the_centres_of_places(size: tuple[int, int]) -> None:
    planes = np.random.default_rng(0).normal(size=(3, 6, 8)).astype(np.float32)

    # Float32 against float64.
    np.testing.assert_allclose(resized(planes, size), between(planes, *size), atol=1e-5)


def test_a_mask_has_the_size_of_the_input_and_its_classes_have_names_and_shares() -> None:
    one = spec(SegmentationOutput("y"), (2 * HEIGHT, 2 * WIDTH))
    scores = np.zeros((1, 2, HEIGHT, WIDTH), np.float32)
    scores[0, 1, :, 6:] = 1
    scores[0, 0] = 1 - scores[0, 1]

    mask = mask_of({"y": scores}, one)

    assert mask.shape == (2 * HEIGHT, 2 * WIDTH)
    assert [(found.number, found.label, found.share) for found in shares(mask, one)] == [
        (0, "ground", 0.75), (1, "cat", 0.25)
    ]  # fmt: skip
    assert mask_of({"y": scores}, spec(SegmentationOutput("y"), ("H", "W"))).shape == (HEIGHT, WIDTH)


def test_the_border_of_a_letterbox_is_no_part_of_the_photo() -> None:
    how = msgspec.structs.replace(
        spec(FORMS["classes first"][0]), preprocessing=ImageInput(HEIGHT, WIDTH, letterbox=114)
    )
    outputs: Feed = {"y": SCORES[None]}

    mask = mask_of(outputs, how, (80, 20))  # 8 x 2 pixels, below a border of 2 rows

    assert np.unique(mask[[0, 1, 4, 5]]).tolist() == [255]
    np.testing.assert_array_equal(mask[2:4], mask_of(outputs, how)[2:4])
    assert sum(one.share for one in shares(mask, how)) == 1
    assert {one.number for one in shares(mask, how)} == {0, 1}


def test_a_class_that_the_network_lacks_is_refused() -> None:
    samples = Samples({"image": np.zeros((1, 3, HEIGHT, WIDTH))}, targets={MASK: np.full((1, HEIGHT, WIDTH), 7)})

    with pytest.raises(UserError, match="contains the class 7; 'net' has the classes 0 to 1") as caught:
        miou({"y": SCORES[None]}, samples, spec(SegmentationOutput("y")))

    assert "255" in caught.value.hint


def test_ignored_places_count_neither_for_nor_against() -> None:
    true = np.where(np.arange(WIDTH) < 4, 255, 1 - TRUE)
    true[0, 4:] = TRUE[0, 4:]
    samples = Samples({"image": np.zeros((1, 3, HEIGHT, WIDTH))}, targets={MASK: true[None].astype(np.uint8)})

    found = pixel_accuracy({"y": SCORES[None]}, samples, spec(SegmentationOutput("y")))

    assert found(np.array([0])) == pytest.approx(1 / HEIGHT)


@pytest.mark.parametrize("name", ["y", "z"])
def test_outputs_that_contain_no_scores_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"no output 'z'|contains no scores"):
        list(masks({"y": np.zeros((1, 3))}, spec(SegmentationOutput(name)), [TRUE.shape]))
