"""Labels of a file without a bundle, in both formats, and what does not fit it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image
from tests.flows.nets.bare_files import float_tflite, int8_tflite
from tests.runtime.data.make import onnx_model

from edgekit.core.errors import UserError
from edgekit.flows.run import run

FLOAT = TensorProto.FLOAT


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("dark\nlight\n")
    return tmp_path / "labels.txt"


def grey(folder: Path, level: int) -> Path:
    path = folder / f"{level}.png"
    Image.fromarray(np.full((9, 9), level, np.uint8)).save(path)
    return path


@pytest.mark.parametrize("make", [float_tflite, int8_tflite])
def test_a_tflite_with_channels_last_prints_labels(make: Callable[[Path], Path], labels: Path, tmp_path: Path) -> None:
    file, photos = make(tmp_path / "light.tflite"), [grey(tmp_path, 60), grey(tmp_path, 130)]

    found = run(file, input=photos, labels=labels, preprocess="resize=4x4,color=gray,layout=nhwc")

    dark, light = (answer.scores for answer in found.answers)
    assert [one[0].label for one in (dark, light)] == ["dark", "light"]
    # Both logits are 8 - 16 x and 16 x - 8 for an image of x, in steps of 1/8 at most.
    for scores, level in ((dark, 60), (light, 130)):
        distance = abs(32 * level / 255 - 16)
        assert scores[0].probability == pytest.approx(1 / (1 + np.exp(-distance)), abs=0.06)


def test_channels_in_the_other_order_name_the_layout(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="makes samples of shape") as caught:
        run(float_tflite(tmp_path / "a.tflite"), input=[grey(tmp_path, 9)], preprocess="resize=4x4,color=gray")

    assert caught.value.hint == "--preprocess 'resize=4x4,color=gray,layout=nhwc'"


def scoring(path: Path, shape: list[int | str], perm: list[int] | None = None) -> Path:
    """A file whose scores are its input, in this shape."""
    nodes = [helper.make_node("Identity", ["x"], ["scores"])]
    path.write_bytes(onnx_model(nodes, [("x", FLOAT, shape)], [("scores", FLOAT, shape)]))
    return path


@pytest.mark.parametrize("shape", [["N", 2, 3, 3], ["N", 3, 2], ["N", 2, "H", "W"], [1, 1], []])
def test_an_output_that_is_not_one_score_for_each_class_is_refused(
    shape: list[int | str], labels: Path, tmp_path: Path
) -> None:
    file = scoring(tmp_path / "places.onnx", shape)
    np.save(tmp_path / "x.npy", np.zeros([one if isinstance(one, int) else 2 for one in shape], np.float32))

    with pytest.raises(UserError, match=r"names 2 classes; the first output of '.*places\.onnx' is 'scores"):
        run(file, input=[tmp_path / "x.npy"], labels=labels)


def test_axes_of_one_that_a_convolution_leaves_are_not_places(labels: Path, tmp_path: Path) -> None:
    file = scoring(tmp_path / "pooled.onnx", [1, 2, 1, 1])
    np.save(tmp_path / "x.npy", np.array([0.0, 3.0], np.float32).reshape(1, 2, 1, 1))

    found = run(file, input=[tmp_path / "x.npy"], labels=labels)

    assert [one.label for one in found.answers[0].scores] == ["light", "dark"]


def test_names_for_an_unknown_number_of_classes_are_counted_on_the_answer(labels: Path, tmp_path: Path) -> None:
    file, x = scoring(tmp_path / "free.onnx", ["N", "K"]), tmp_path / "x.npy"
    np.save(x, np.array([[0.0, 3.0]], np.float32))
    np.save(tmp_path / "three.npy", np.zeros((1, 3), np.float32))

    assert run(file, input=[x], labels=labels).answers[0].scores[0].label == "light"
    with pytest.raises(UserError, match=r"There are 2 class names, but .* 'scores' of .* has the shape \[1, 3\]"):
        run(file, input=[x, tmp_path / "three.npy"], labels=labels)


def test_a_bare_file_with_labels_and_preprocessing_predicts_as_its_bundle(classifier: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9), 130, np.uint8)).save(tmp_path / "grey.png")
    labels = tmp_path / "labels.txt"
    labels.write_text("dark\nlight\n")

    bare = run(
        classifier / "onnx-fp32.onnx", input=[tmp_path / "grey.png"], labels=labels, preprocess="resize=4x4,color=gray"
    )

    assert bare.answers[0].scores[0].label == "light"
    assert bare.answers[0].scores == run(classifier, input=[tmp_path / "grey.png"]).answers[0].scores


def test_labels_that_do_not_fit_a_bare_file_are_refused(classifier: Path, tmp_path: Path) -> None:
    labels, file = tmp_path / "labels.txt", classifier / "onnx-fp32.onnx"
    labels.write_text("dark\ngrey\nlight\n")

    with pytest.raises(UserError, match=r"names 3 classes; the first output of .* is 'logits:") as caught:
        run(file, input=["random:0"], labels=labels)
    assert caught.value.hint == f"Name all 2 classes in '{labels}', or omit --labels."
    labels.write_text("")
    with pytest.raises(UserError, match="contains no class names"):
        run(file, input=["random:0"], labels=labels)
    with pytest.raises(UserError, match=r"missing\.txt"):
        run(file, input=["random:0"], labels=tmp_path / "missing.txt")


def test_what_a_bundle_says_itself_is_refused_as_an_option(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("dark\nlight\n")

    with pytest.raises(UserError, match=r"--labels does not apply to .*: a bundle has its own"):
        run(classifier, input=["random:0"], labels=tmp_path / "labels.txt")
    with pytest.raises(UserError, match=r"--preprocess does not apply to .*: a bundle has its own"):
        run(classifier, input=["random:0"], preprocess="resize=4x4")
    with pytest.raises(UserError, match="a prompt needs a bundle"):
        run(classifier, input=[], prompt=["a"], preprocess="resize=4x4")
