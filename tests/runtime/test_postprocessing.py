from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import ImageOutput, SeriesOutput, TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.postprocessing import curve, greedy, pixels, sentence

WORDS = ("<pad>", "<unk>", "<s>", "</s>", "ein", "mann", ".")


def spec(**how: object) -> ModelSpec:
    return ModelSpec("net", "other", (), (TensorSpec("y", "float32", ("N", 4)),), **how)  # type: ignore[arg-type]  # one of several


def copying(feed: Feed) -> Feed:
    """Says that the word after each place is the one at this place of the source."""
    length = feed["written"].shape[1]
    padded = np.pad(feed["source"], ((0, 0), (0, 9)))[:, :length]
    return {"logits": np.eye(len(WORDS), dtype=np.float32)[padded]}


def test_words_are_written_one_by_one_until_every_row_ended() -> None:
    source = np.array([[4, 5, 6, 3], [5, 3, 4, 4]])

    tokens = greedy(copying, {"source": source}, written="written", output="logits", begin=2, end=3, length=9)

    assert tokens.tolist() == [[4, 5, 6, 3], [5, 3, 0, 0]]


def test_a_sentence_that_never_ends_is_cut() -> None:
    tokens = greedy(
        copying, {"source": np.full((1, 9), 4)}, written="written", output="logits", begin=2, end=3, length=5
    )

    assert tokens.tolist() == [[4] * 5]


def test_tokens_become_a_sentence() -> None:
    assert sentence(np.array([4, 5, 6, 3, 0]), TextOutput(WORDS, end=3, length=9)) == "ein mann."


def test_a_curve_is_the_first_output() -> None:
    found = curve({"y": np.array([[1, 2, 3, 4]], np.float32)}, spec(postprocessing=SeriesOutput("OT", 60.0)))

    assert found is not None
    assert found.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(("channels", "shape"), [(1, (2, 6)), (3, (2, 6, 3))])
def test_images_stand_side_by_side(channels: int, shape: tuple[int, ...]) -> None:
    images = np.linspace(-1.5, 1.5, 2 * channels * 2 * 3).reshape(2, channels, 2, 3).astype(np.float32)

    found = pixels({"y": images}, spec(postprocessing=ImageOutput(-1.0, 1.0)))

    assert found is not None
    assert found.shape == shape
    assert (int(found.min()), int(found.max())) == (0, 255)


def test_other_models_have_neither() -> None:
    outputs: Feed = {"y": np.zeros((1, 4), np.float32)}

    assert curve(outputs, spec()) is None
    assert pixels(outputs, spec()) is None
