"""Points are decoded from coordinates, heatmaps and SimCC, in pixels of the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import KeypointsOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.preprocessing import image_feed
from edgekit.runtime.tasks.keypoints import KEYPOINTS, found_points, oks_ap, pck, points, true_points

HEIGHT, WIDTH = 40, 80
TRUE = np.array([[10.0, 20.0], [60.0, 5.0]])
SPEC = ModelSpec("net", KEYPOINTS, (TensorSpec("x", "float32", ("N", 3, HEIGHT, WIDTH)),), labels=("head", "hand"))


def spec(how: KeypointsOutput) -> ModelSpec:
    return structs.replace(SPEC, postprocessing=how)


def heatmaps() -> NDArray[np.float32]:
    """(2, 20, 40): a quarter as many places as pixels, highest at the points."""
    maps = np.zeros((2, HEIGHT // 2, WIDTH // 2), np.float32)
    for one, (x, y) in zip(maps, (TRUE // 2).astype(int), strict=True):
        one[y, x] = 0.8
    return maps


def vectors(axis: int, size: int) -> NDArray[np.float32]:
    return np.asarray(np.eye(2 * size)[(2 * TRUE[:, axis]).astype(int)], np.float32)


SHARES = TRUE / (WIDTH, HEIGHT)
FORMS = {
    "pixels": ({"y": TRUE}, KeypointsOutput("y")),
    "shares": ({"y": SHARES}, KeypointsOutput("y", unit="share")),
    "flat": ({"y": TRUE.reshape(-1)}, KeypointsOutput("y")),
    "y first with a score": (
        {"y": np.concatenate([SHARES[:, ::-1], np.ones((2, 1))], axis=1)[None]},
        KeypointsOutput("y", unit="share", with_score=True, y_first=True),
    ),
    "heatmaps": ({"y": heatmaps()}, KeypointsOutput("y", form="heatmaps")),
    "heatmaps last": ({"y": heatmaps().transpose(1, 2, 0)}, KeypointsOutput("y", form="heatmaps", channels_last=True)),
    "simcc": ({"a": vectors(0, WIDTH), "b": vectors(1, HEIGHT)}, KeypointsOutput("a", rows="b", form="simcc")),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_points_in_pixels(form: str) -> None:
    outputs, how = FORMS[form]
    batch: Feed = {name: np.stack([array, array]) for name, array in outputs.items()}

    found = points(batch, spec(how))

    assert found.shape == (2, 2, 3)
    # A place of a heatmap is two pixels.
    np.testing.assert_allclose(found[1, :, :2], TRUE, atol=1.0 if "heatmaps" in form else 1e-9)
    np.testing.assert_allclose(found[..., 2], 0.8 if "heatmaps" in form else 1.0, rtol=1e-6)


def test_coordinates_in_pixels_need_no_image() -> None:
    table = structs.replace(spec(KeypointsOutput("y")), inputs=(TensorSpec("x", "float32", ("N", 5)),))
    shares = structs.replace(table, postprocessing=KeypointsOutput("y", unit="share"))

    assert points({"y": TRUE[None]}, table)[0, :, :2].tolist() == TRUE.tolist()
    with pytest.raises(UserError, match="not an image of a fixed size"):
        points({"y": TRUE[None]}, shares)


def test_two_vectors_of_other_shapes_are_refused() -> None:
    how = KeypointsOutput("a", rows="b", form="simcc")

    with pytest.raises(UserError, match="no output 'b'"):
        points({"a": vectors(0, WIDTH)[None]}, spec(how))


def test_a_point_is_a_quarter_of_a_place_nearer_to_the_higher_neighbour() -> None:
    maps = heatmaps()[None]
    maps[0, 0, 10, 6], maps[0, 0, 9, 5] = 0.5, 0.5

    first = found_points({"y": maps}, spec(KeypointsOutput("y", form="heatmaps")))[0]

    assert (first.label, first.x, first.y) == ("head", 2 * 5.25, 2 * 9.75)


@pytest.mark.parametrize(
    "steps",
    [{}, {"resize": (60,)}, {"letterbox": 0}, {"letterbox": 0, "height": 80}],
    ids=["whole", "cut", "wide", "high"],
)
def test_the_points_of_a_photo_are_in_its_pixels(steps: dict[str, Any]) -> None:
    # They were in pixels of the input, which nobody sees, while boxes were in those of the photo.
    how = ImageInput(**{"height": HEIGHT, "width": WIDTH, "channels": 1, **steps})
    photo = np.zeros((301, 420), np.uint8)
    photo[140:161, 200:241] = 255  # the centre is (220, 150)
    tensor = TensorSpec("x", "float32", ("N", 1, how.height, how.width))
    with_photo = structs.replace(SPEC, inputs=(tensor,), preprocessing=how, postprocessing=KeypointsOutput("y"))
    seen = image_feed(Image.fromarray(photo), with_photo)["x"][0, 0]
    rows, columns = np.indices(seen.shape)
    centre = np.array([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()

    (found,) = found_points({"y": centre[None, None]}, with_photo, (420, 301))

    # A pixel of the input is up to eight of the photo.
    assert (found.x, found.y) == pytest.approx((220, 150), abs=0.7)
    assert found_points({"y": centre[None, None]}, with_photo)[0].x == pytest.approx(centre[0])


def test_the_share_of_hits_is_of_labelled_points() -> None:
    true = np.array([[[10, 20, 2], [60, 5, 0]], [[10, 20, 1], [60, 5, 1]]], np.float32)
    outputs: Feed = {"y": np.stack([TRUE, TRUE + np.array([[0, 0], [0, 11]])])}
    samples = Samples({"x": np.zeros((2, 1))}, targets={KEYPOINTS: true})

    assert pck(outputs, samples, spec(KeypointsOutput("y")))(np.array([1])) == 0.5
    with pytest.raises(UserError, match="17 points of COCO; the samples have 2"):
        oks_ap(outputs, samples, spec(KeypointsOutput("y")))


def test_points_without_a_third_value_are_all_labelled() -> None:
    samples = Samples({"x": np.zeros((1, 1))}, targets={KEYPOINTS: TRUE[None, None]})

    assert true_points(samples)[0, :, 2].tolist() == [1, 1]
    with pytest.raises(UserError, match="expected"):
        true_points(Samples({"x": np.zeros((1, 1))}, targets={KEYPOINTS: np.zeros((1, 2, 4))}))


@pytest.mark.parametrize("how", [KeypointsOutput("y"), KeypointsOutput("y", form="heatmaps")])
@pytest.mark.parametrize("array", [np.zeros((1, 3)), np.array(["a"]), np.zeros((1, 0, 2))])
def test_outputs_without_points_are_refused(array: NDArray[np.generic], how: KeypointsOutput) -> None:
    with pytest.raises(UserError, match="no points are in it"):
        points({"y": array}, spec(how))
    with pytest.raises(UserError, match="no output 'y'"):
        points({"z": array}, spec(how))
    with pytest.raises(UserError, match="no description"):
        points({"y": array}, SPEC)
