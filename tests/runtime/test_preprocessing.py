"""From input files to feeds, and from outputs to answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.core.errors import UserError
from edgekit.core.spec import ImageInput, ModelSpec, TensorSpec
from edgekit.runtime.preprocessing import class_scores, read_input

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


def test_logits_become_probabilities_best_first() -> None:
    scores = class_scores({"logits": np.array([[0.0, 3.0, 1.0]], np.float32)}, IMAGE)

    assert [label for label, _ in scores] == ["dog", "owl", "cat"]
    assert sum(probability for _, probability in scores) == pytest.approx(1.0)


def test_probabilities_stay_as_they_are() -> None:
    label, probability = class_scores({"p": np.array([[0.2, 0.1, 0.7]], np.float32)}, IMAGE)[0]

    assert label == "owl"
    assert probability == pytest.approx(0.7)


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
