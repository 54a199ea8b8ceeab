"""A user's samples become those of a model, or every problem is told, with the command that mends it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import MULTI_LABEL
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.flows.reading.sample_files import read_held
from edgekit.flows.reading.sample_problems import sample_problems
from edgekit.flows.reading.user_samples import completed, with_samples

IMAGES = ModelSpec("m", "t", (TensorSpec("x", "float32", ("N", 1, 4)),), (TensorSpec("y", "float32", ("N", 3)),))
TOKENS = ModelSpec("m", "t", (TensorSpec("ids", "int32", ("N", "T")), TensorSpec("mask", "bool", ("N", "T"))))
SINGLE = ModelSpec("m", "t", (TensorSpec("x", "float32", (1, 4)),))


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def read_user_samples(path: Path, spec: ModelSpec) -> Samples:
    return with_samples(spec, read_held(path, spec.preprocessing)).samples


def test_the_samples_of_a_user_are_read_in_the_dtype_of_the_model(tmp_path: Path) -> None:
    path = npz(tmp_path / "s.npz", x=np.zeros((5, 1, 4), np.uint8), label=np.arange(5, dtype=np.uint8))

    samples = read_user_samples(path, IMAGES)

    assert (samples.inputs["x"].dtype, samples.inputs["x"].shape) == (np.dtype("float32"), (5, 1, 4))
    assert samples.labels is not None
    assert samples.labels.dtype == np.int64
    assert samples.is_labelled


def test_samples_without_labels_are_read_and_say_so(tmp_path: Path) -> None:
    assert not read_user_samples(npz(tmp_path / "s.npz", x=np.zeros((5, 1, 4))), IMAGES).is_labelled


def test_reference_values_make_samples_labelled(tmp_path: Path) -> None:
    samples = read_user_samples(
        npz(tmp_path / "s.npz", **{"x": np.zeros((5, 1, 4)), "target:y": np.zeros((5, 3))}), IMAGES
    )

    assert samples.is_labelled
    assert samples.targets["y"].shape == (5, 3)


def test_rows_of_samples_fit_a_model_with_a_fixed_batch_of_one(tmp_path: Path) -> None:
    spec = ModelSpec(
        "net", "other", (TensorSpec("x", "float32", (1, 8)), TensorSpec("rate", "float32", ())), (), sizes={}
    )
    arrays = {"x": np.ones((3, 8), np.float32), "rate": np.ones(3, np.float32), "target:y": np.ones((3, 2))}
    np.savez(tmp_path / "samples.npz", **arrays)  # type: ignore[arg-type]  # its last keyword is a flag

    found = read_user_samples(tmp_path / "samples.npz", spec)

    assert found.inputs["x"].shape == (3, 1, 8)
    assert found.inputs["rate"].shape == (3,)
    assert found.targets["y"].shape == (3, 1, 2)


def test_inputs_without_the_batch_are_the_same_in_every_sample(tmp_path: Path) -> None:
    inputs = (TensorSpec("x", "float32", ("N", 4)), TensorSpec("steps", "float32", ("T", "N")))
    spec = ModelSpec("m", "t", (*inputs, TensorSpec("table", "float32", (5, 4))))
    x, table = (np.arange(size, dtype="f4").reshape(-1, 4) for size in (12, 20))
    steps = np.arange(21, dtype="f4").reshape(7, 3)

    path = npz(tmp_path / "s.npz", **{"x": x, "steps": steps, "table": table, "label": [0, 1, 2], "target:y": x})
    samples = read_user_samples(path, spec)

    assert {name: array.shape for name, array in samples.inputs.items()} == {
        "x": (3, 1, 4),
        "steps": (3, 7, 1),
        "table": (3, 5, 4),
    }
    assert np.array_equal(samples.inputs["steps"][1, :, 0], steps[:, 1])
    assert np.array_equal(samples.inputs["table"][2], table)
    assert samples.targets["y"].shape == (3, 1, 4)


def test_a_table_for_each_sample_stays_one(tmp_path: Path) -> None:
    spec = ModelSpec("m", "t", (TensorSpec("x", "float32", ("N", 4)), TensorSpec("table", "float32", (5, 4))))

    samples = read_user_samples(npz(tmp_path / "s.npz", x=np.zeros((3, 4)), table=np.zeros((3, 5, 4))), spec)

    assert {name: array.shape for name, array in samples.inputs.items()} == {"x": (3, 1, 4), "table": (3, 5, 4)}


def test_a_model_without_a_batch_axis_takes_one_sample_a_row(tmp_path: Path) -> None:
    assert len(read_user_samples(npz(tmp_path / "s.npz", x=np.zeros((5, 1, 4))), SINGLE)) == 5


X = np.zeros((5, 1, 4), np.float32)
NAN = np.where(np.arange(20).reshape(5, 1, 4) == 13, np.nan, 0)


@pytest.mark.parametrize(
    ("spec", "arrays", "problems"),
    [
        (IMAGES, {}, ["'x' is missing.", "there are no samples."]),
        (
            IMAGES,
            {"X": X},
            ["'x' is missing. Did you mean 'X'?", "'X' is not an input of the model. Did you mean 'x'?"],
        ),
        (IMAGES, {"x": X, "z": X}, ["'z' is not an input of the model."]),
        (IMAGES, {"x": X[:0]}, ["there are no samples."]),
        (IMAGES, {"x": X[0, 0]}, ["'x' has shape () per sample, expected (1, 4)."]),
        (IMAGES, {"x": X[:, 0]}, ["'x' has shape (4) per sample, expected (1, 4)."]),
        (IMAGES, {"x": X.reshape(5, 4, 1)}, ["'x' has shape (4, 1) per sample, expected (1, 4)."]),
        (IMAGES, {"x": X + 1j}, ["'x' has dtype complex64, expected float32."]),
        (IMAGES, {"x": np.full((5, 1, 4), "a")}, ["'x' has dtype <U1, expected float32."]),
        (IMAGES, {"x": NAN}, ["'x' contains NaN or infinity, first in sample 3."]),
        (IMAGES, {"x": X + np.inf}, ["'x' contains NaN or infinity, first in sample 0."]),
        (
            IMAGES,
            {"x": np.full((5, 1, 4), 1e300)},
            ["'x' contains values from 1e+300 to 1e+300, which float32 cannot represent."],
        ),
        (IMAGES, {"x": X, "label": np.arange(4)}, ["sample counts differ: x 5, label 4."]),
        (IMAGES, {"x": X, "target:z": X}, ["'z' is not an output of the model."]),
        (IMAGES, {"x": X, "target:y": NAN}, ["'target:y' contains NaN or infinity, first in sample 3."]),
        (IMAGES, {"x": X, "target:y": np.full(5, "a")}, ["'target:y' has dtype <U1, expected numbers."]),
        (SINGLE, {"x": np.float32(np.nan)}, ["there are no samples.", "'x' has shape () per sample, expected (1, 4)."]),
        (
            TOKENS,
            {"ids": np.zeros((5, 7), int), "mask": np.zeros((5, 6), bool)},
            ["axis 'T' differs: ids 7, mask 6."],
        ),
        (
            TOKENS,
            {"ids": np.zeros((5, 0), int), "mask": np.zeros((5, 0), bool)},
            ["'ids' has shape (0) per sample, expected (T).", "'mask' has shape (0) per sample, expected (T)."],
        ),
        (
            TOKENS,
            {"ids": np.full((5, 7), 2**31), "mask": np.ones((5, 7), bool)},
            ["'ids' contains values from 2147483648 to 2147483648, which int32 cannot represent."],
        ),
        (
            TOKENS,
            {"ids": np.zeros((5, 7)), "mask": np.zeros((4, 7), bool)},
            ["sample counts differ: ids 5, mask 4.", "'ids' has dtype float64, expected int32."],
        ),
    ],
    ids=lambda value: None if isinstance(value, ModelSpec | dict) else value[0],
)
def test_every_problem_of_the_samples_is_told_at_once(
    spec: ModelSpec, arrays: dict[str, Any], problems: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        read_user_samples(npz(tmp_path / "s.npz", **arrays), spec)

    headline, *told = caught.value.message.split("\n  ")
    assert headline.endswith("s.npz' do not fit the model:")
    assert [line[: len(problem)] for line, problem in zip(told, problems, strict=True)] == problems
    assert caught.value.hint.startswith(f"numpy.savez(FILE, {spec.inputs[0].name}=array of {spec.inputs[0].dtype}")


@pytest.mark.parametrize("value", [200, -129])
def test_a_value_is_never_wrapped_around(value: int) -> None:
    spec = ModelSpec("m", "t", (TensorSpec("x", "int8", ("N",)),))

    assert sample_problems({"x": np.array([value], np.int16)}, spec) == [
        f"'x' contains values from {value} to {value}, which int8 cannot represent."
    ]


def test_a_label_beyond_the_classes_of_the_model_is_refused(tmp_path: Path) -> None:
    spec = ModelSpec("m", "t", IMAGES.inputs, labels=("cat", "dog"))

    with pytest.raises(UserError, match="'label' contains class 2; the model has classes 0 to 1"):
        read_user_samples(npz(tmp_path / "s.npz", x=X, label=[0, 1, 0, 1, 2]), spec)

    assert read_user_samples(npz(tmp_path / "t.npz", x=X, label=[0, 1, 0, 1, 1]), spec).is_labelled


CLASSES = [0, 1, 2, 1, 0]


@pytest.mark.parametrize("name", ["label", "labels", "y", "target", "targets"])
@pytest.mark.parametrize(
    "labels",
    [
        np.array(CLASSES, np.uint8),
        np.array(CLASSES)[:, None],
        np.eye(3, dtype=int)[CLASSES],
        np.eye(3, dtype=np.float32)[CLASSES],
        np.array(["cat", "dog", "owl"])[CLASSES],
    ],
    ids=["indices", "a column", "one-hot", "one-hot floats", "names"],
)
def test_labels_are_read_under_every_usual_name_and_in_every_usual_form(
    name: str, labels: np.ndarray, tmp_path: Path
) -> None:
    samples = read_user_samples(npz(tmp_path / "s.npz", **{"x": X, name: labels}), IMAGES)

    assert samples.labels is not None
    assert samples.labels.tolist() == CLASSES
    assert not samples.targets
    assert list(samples.inputs) == ["x"]


def test_whole_floats_called_label_are_classes_and_floats_called_target_are_values(tmp_path: Path) -> None:
    classes = read_user_samples(npz(tmp_path / "a.npz", x=X, label=np.array(CLASSES, np.float32)), IMAGES)
    values = read_user_samples(npz(tmp_path / "b.npz", x=X, target=np.array(CLASSES) / 2), IMAGES)

    assert classes.labels is not None
    assert values.labels is None
    assert values.with_expected({"out": np.zeros((5, 1))}).targets["out"].tolist() == [
        [0.0],
        [0.5],
        [1.0],
        [0.5],
        [0.0],
    ]


def test_the_order_of_given_class_names_decides(tmp_path: Path) -> None:
    spec = ModelSpec("m", "t", IMAGES.inputs, labels=("owl", "dog", "cat"))

    samples = read_user_samples(npz(tmp_path / "s.npz", x=X, y=np.array(["cat", "owl", "dog", "cat", "cat"])), spec)

    assert samples.labels is not None
    assert samples.labels.tolist() == [2, 0, 1, 2, 2]


@pytest.mark.parametrize(
    ("arrays", "message", "hint"),
    [
        (
            {"label": np.arange(5) / 2},
            "'label' must contain one class index per sample, got float64 of shape",
            "target",
        ),
        ({"label": np.arange(5) - 1}, "'label' contains a negative class index", "keep = label >= 0"),
        ({"label": np.zeros((5, 3), int)}, "'label' contains only 0: no sample has a label", ""),
        ({"label": 2 * np.ones((5, 3), int)}, r"got int64 of shape \(5, 3\)", "'target:OUTPUT': label"),
        ({"y": np.ones((5, 4, 4), int)}, r"got int64 of shape \(5, 4, 4\)", "'target:OUTPUT': y"),
        ({"y": np.array([0, 1, 1, 0, 1], np.float32)}, "only 0 and 1 as float32", "label=y.astype"),
        ({"label": np.arange(5), "y": np.arange(5)}, "contain 'label' and 'y'", "label=label"),
        ({"y": np.full(5, np.nan)}, "'y' contains NaN or infinity, first in sample 0", ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_what_could_mean_several_things_is_refused_by_name(
    arrays: dict[str, Any], message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_user_samples(npz(tmp_path / "s.npz", x=X, **arrays), IMAGES)

    assert hint in caught.value.hint


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32"])
def test_rows_with_several_marks_are_labels_of_their_own(dtype: str, tmp_path: Path) -> None:
    marks = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1]], dtype)

    samples = read_user_samples(npz(tmp_path / "s.npz", x=X, label=marks), IMAGES)

    assert samples.labels is None
    assert samples.targets[MULTI_LABEL].tolist() == marks.astype(int).tolist()
    described = completed(IMAGES, samples)
    assert (described.task, described.metric) == (MULTI_LABEL, Metric("macro_ap"))


def test_an_input_of_the_model_that_is_called_like_a_label_stays_an_input(tmp_path: Path) -> None:
    spec = ModelSpec("m", "t", (TensorSpec("y", "float32", ("N", 4)),))

    samples = read_user_samples(npz(tmp_path / "s.npz", y=np.ones((5, 4)), label=CLASSES), spec)

    assert list(samples.inputs) == ["y"]
    assert samples.labels is not None


PICTURE = ModelSpec("m", "t", (TensorSpec("image", "float32", ("N", 3, 4, 6)),))


@pytest.mark.parametrize(
    ("array", "spec"),
    [
        (np.arange(5 * 72, dtype=np.float32).reshape(5, 4, 6, 3), PICTURE),
        (
            np.arange(5 * 72, dtype=np.float32).reshape(5, 3, 4, 6),
            ModelSpec("m", "t", (TensorSpec("image", "float32", ("N", 4, 6, 3)),)),
        ),
        (np.arange(72, dtype=np.float32).reshape(3, 4, 6), PICTURE),
    ],
    ids=["channels last", "channels first", "one sample"],
)
def test_an_order_of_axes_is_noticed_with_the_command_that_mends_the_file(
    array: np.ndarray, spec: ModelSpec, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"'image' has shape") as caught:
        read_user_samples(npz(tmp_path / "s.npz", image=array), spec)
    subprocess.run(shlex.split(caught.value.hint.replace("python", sys.executable, 1)), check=True)

    assert len(read_user_samples(tmp_path / "s-fitted.npz", spec)) in (1, 5)


def test_pixels_become_inputs_as_the_preprocessing_says(tmp_path: Path) -> None:
    how = ImageInput(4, 6, mean=(1.0,), std=(0.5,), divisor=1.0)
    spec = ModelSpec("m", "t", PICTURE.inputs, preprocessing=how)
    pixels = np.full((5, 8, 12, 3), 3, np.uint8)

    samples = read_user_samples(npz(tmp_path / "s.npz", image=pixels), spec)

    assert samples.inputs["image"].shape == (5, 3, 4, 6)
    assert np.unique(samples.inputs["image"]).tolist() == [4.0]
