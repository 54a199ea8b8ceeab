"""From input files to feeds, and from outputs to answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import MULTI_LABEL, LabelsOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.preprocessing import class_scores, cut_from, read_input, read_pixels, resized_to

IMAGE = ModelSpec(
    "net",
    "classification",
    (TensorSpec("image", "float32", ("N", 1, 4, 4)),),
    labels=("cat", "dog", "owl"),
    preprocessing=ImageInput(4, 4, 1, (0.5,), (0.25,)),
)


def test_an_image_is_scaled_normalised_and_laid_out(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "white.png")

    feed = read_input(tmp_path / "white.png", IMAGE)

    assert feed["image"].shape == (1, 1, 4, 4)
    assert np.unique(feed["image"]).tolist() == [(1.0 - 0.5) / 0.25]


def halves(path: Path, width: int, height: int) -> Path:
    """An image whose left half is red and whose right half is blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0], pixels[:, width // 2 :, 2] = 255, 255
    Image.fromarray(pixels).save(path)
    return path


def test_a_reduced_image_averages_the_pixels_that_fall_into_one() -> None:
    """Bilinear with antialias, by hand: halving weighs the four nearest columns with 1, 3, 3 and 1 eighths."""
    row = np.array([0, 80, 160, 240, 40, 120, 200, 8], np.uint8)
    image = Image.fromarray(np.tile(row, (4, 1)))

    found = np.asarray(image.resize((4, 4), Image.Resampling.BILINEAR))

    # At the edges, what lies outside has no weight: 3, 3 and 1 sevenths.
    by_hand = [(3 * 0 + 3 * 80 + 160) / 7, (80 + 3 * 160 + 3 * 240 + 40) / 8]
    by_hand += [(240 + 3 * 40 + 3 * 120 + 200) / 8, (120 + 3 * 200 + 3 * 8) / 7]
    # Pillow computes with integers: the last step may differ.
    np.testing.assert_allclose(found[0], by_hand, atol=1)


@pytest.mark.parametrize(
    ("size", "resize", "expected"),
    [
        ((500, 375), (256,), (341, 256)),  # torchvision: int(256 * 500 / 375) = 341
        ((375, 500), (256,), (256, 341)),
        ((100, 100), (256,), (256, 256)),
        ((500, 375), (240, 320), (320, 240)),
        ((500, 375), (), (224, 224)),
    ],
)
def test_the_shorter_side_is_resized_as_in_torchvision(
    size: tuple[int, int], resize: tuple[int, ...], expected: tuple[int, int]
) -> None:
    assert resized_to(size, ImageInput(224, 224, resize=resize)) == expected


def test_the_centre_is_cut_out(tmp_path: Path) -> None:
    """Of 8 x 4 pixels at their own size, the middle 4 x 4 are red for two columns and blue for two."""
    pixels = read_pixels(halves(tmp_path / "a.png", 8, 4), ImageInput(4, 4, resize=(4,)))

    assert pixels[..., 0].tolist() == [[255, 255, 0, 0]] * 4


def test_a_cut_that_is_larger_than_the_image_is_filled_with_black(tmp_path: Path) -> None:
    pixels = read_pixels(halves(tmp_path / "a.png", 2, 2), ImageInput(4, 4, resize=(2, 2)))

    assert pixels[..., 0].tolist() == [[0] * 4, [0, 255, 0, 0], [0, 255, 0, 0], [0] * 4]


@pytest.mark.parametrize(
    ("size", "resized", "corner"),
    [
        ((640, 480), (64, 48), (0, -8)),
        ((480, 640), (48, 64), (-8, 0)),
        ((32, 16), (64, 32), (0, -16)),
        ((64, 61), (64, 61), (0, -1)),  # of three rows of border, one is above and two are below
        ((9000, 2), (64, 1), (0, -31)),
    ],
)
def test_a_letterbox_keeps_the_aspect_ratio(
    size: tuple[int, int], resized: tuple[int, int], corner: tuple[int, int]
) -> None:
    how = ImageInput(64, 64, letterbox=114)

    assert resized_to(size, how) == resized
    assert cut_from(resized, how) == corner


@pytest.mark.parametrize("channels", [1, 3])
def test_the_border_of_a_letterbox_has_its_level(channels: int, tmp_path: Path) -> None:
    white = tmp_path / "white.png"
    Image.new("RGB", (8, 3), "white").save(white)

    pixels = read_pixels(white, ImageInput(6, 8, channels, letterbox=100))

    assert pixels.shape == (6, 8, channels)
    assert [np.unique(row).tolist() for row in pixels] == [[100], [255], [255], [255], [100], [100]]


def test_colours_scale_and_layout_are_those_of_the_network(tmp_path: Path) -> None:
    how = ImageInput(1, 2, mean=(1.0, 2.0, 3.0), std=(2.0,), divisor=1.0, color="bgr", layout="nhwc")
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 1, 2, 3)),), preprocessing=how)

    values = read_input(halves(tmp_path / "a.png", 2, 1), spec)["x"]

    assert values.tolist() == [[[[-0.5, -1.0, 126.0], [127.0, -1.0, -1.5]]]]


def test_an_array_gains_the_batch_axis(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 4, 4), np.float32))

    assert read_input(tmp_path / "x.npy", IMAGE)["image"].shape == (1, 1, 4, 4)


def test_an_npz_gives_every_input_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.ones((1, 1, 4, 4), np.float32))

    assert read_input(tmp_path / "x.npz", IMAGE)["image"].sum() == 16


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.png", None, "'.*gone.png' does not exist"),
        ("x.wav", b"RIFF", "expected an image"),
        ("x.png", b"no picture", "as an image"),
        ("x.npy", b"\x80\x04pickle", "plain numbers"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(UserError, match=message):
        read_input(tmp_path / name, IMAGE)


def test_a_folder_is_refused_with_its_first_file(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        (tmp_path / name).touch()

    with pytest.raises(UserError, match=r"is a folder") as caught:
        read_input(tmp_path, IMAGE)

    assert caught.value.hint == f"--input {tmp_path / 'a.png'}"


def test_logits_become_probabilities_best_first() -> None:
    scores = class_scores({"logits": np.array([[0.0, 3.0, 1.0]], np.float32)}, IMAGE)

    assert [label for label, _ in scores] == ["dog", "owl", "cat"]
    assert sum(probability for _, probability in scores) == pytest.approx(1.0)


def test_probabilities_stay_as_they_are() -> None:
    label, probability = class_scores({"p": np.array([[0.2, 0.1, 0.7]], np.float32)}, IMAGE)[0]

    assert label == "owl"
    assert probability == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("how", "scores", "expected"),
    [
        (LabelsOutput("y"), [[0.0]], [("cat", 0.5), ("dog", 0.5)]),
        (LabelsOutput("y"), [[1000.0]], [("dog", 1.0), ("cat", 0.0)]),
        (LabelsOutput("y", logits=False), [[0.25]], [("cat", 0.75), ("dog", 0.25)]),
        (LabelsOutput("y", logits=False), [[0.9, 0.0, 0.95]], [("owl", 0.95), ("cat", 0.9), ("dog", 0.0)]),
    ],
)
def test_labels_have_probabilities_of_their_own(
    how: LabelsOutput, scores: list[list[float]], expected: list[tuple[str, float]]
) -> None:
    spec = structs.replace(IMAGE, task=MULTI_LABEL, postprocessing=how)

    found = class_scores({"other": np.zeros((1, 9)), "y": np.array(scores)}, spec)

    assert [label for label, _ in found] == [label for label, _ in expected]
    assert [probability for _, probability in found] == pytest.approx([probability for _, probability in expected])


TOKENS = ModelSpec("net", "other", (TensorSpec("ids", "int32", ("N", 3)),))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_come_in_the_dtype_of_the_input_from_either_file(suffix: str, tmp_path: Path) -> None:
    array = np.ones((1, 4, 4), np.float64)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", image=array)

    assert read_input(tmp_path / f"x.{suffix}", IMAGE)["image"].dtype == np.float32


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[0.5, 1.5, 2.5]]), "has dtype float64 for 'ids'"),
        (np.array([[1, 2, 2**40]]), "outside the range of int32"),
    ],
    ids=["fractions", "too large"],
)
def test_no_value_becomes_another(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)

    with pytest.raises(UserError, match=message):
        read_input(tmp_path / "x.npy", TOKENS)


def test_several_examples_at_once_have_no_one_class() -> None:
    assert class_scores({"y": np.zeros((2, 3), np.float32)}, IMAGE) == []
