"""Boxes and masks of files without a bundle: how they are written follows from shapes and values, or is asked."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from PIL import Image
from tests.flows.nets.bare_files import float_tflite, regions_onnx, squares_onnx, squares_tflite
from tests.runtime.data.make import FLOAT, onnx_model

from edgekit.cli.main import run as edgekit_command
from edgekit.core.errors import UserError
from edgekit.core.reports.run import RunReport
from edgekit.flows.run import run

NAMES = ("red", "green", "blue")
# In the photo of `photo`, which is twice the input.
OBJECTS = {("red", (32, 64, 64, 96)), ("blue", (96, 0, 128, 32))}


@pytest.fixture
def names(tmp_path: Path) -> Path:
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    return tmp_path / "names.txt"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """128 x 128 pixels of grey with two squares."""
    pixels = np.full((128, 128, 3), 90, np.uint8)
    pixels[64:96, 32:64] = 255, 0, 0
    pixels[0:32, 96:128] = 0, 0, 255
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def detected(file: Path, photo: Path, labels: Path, layout: str = "nchw", **said: Any) -> RunReport:
    how = f"letterbox=64x64,layout={layout}"
    return run(file, input=[photo], task="detection", labels=labels, preprocess=how, **said)


def objects_in(found: RunReport) -> set[tuple[str, tuple[int, ...]]]:
    objects = found.answers[0].objects
    assert objects is not None
    return {(one.label, tuple(map(round, one.box))) for one in objects}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("unit", ["pixels", "share"])
@pytest.mark.parametrize("extra", ["", "objectness", "background"])
def test_a_head_of_centres_needs_no_word_on_its_boxes(
    first: bool, unit: str, extra: str, photo: Path, names: Path, tmp_path: Path
) -> None:
    file = squares_onnx(tmp_path / "yolo.onnx", unit=unit, first=first, extra=extra)

    found = detected(file, photo, names)

    assert objects_in(found) == OBJECTS
    where = "pixels" if unit == "pixels" else "shares of the image"
    assert found.notes == (f"'output' was read as boxes cxcywh in {where}",)


def test_a_tflite_with_channels_last_has_the_same_boxes(photo: Path, names: Path, tmp_path: Path) -> None:
    assert objects_in(detected(squares_tflite(tmp_path / "yolo.tflite"), photo, names, "nhwc")) == OBJECTS


@pytest.mark.parametrize("how", ["xyxy", "yxyx"])
def test_corners_are_asked_for_because_values_do_not_show_their_order(
    how: str, photo: Path, names: Path, tmp_path: Path
) -> None:
    file = squares_onnx(tmp_path / "corners.onnx", how)

    with pytest.raises(UserError, match=r"do not show how it writes its boxes: xyxy or yxyx or cxcywh\.") as asked:
        detected(file, photo, names)

    assert asked.value.hint.startswith("--boxes xyxy, or what its authors say")
    assert objects_in(detected(file, photo, names, boxes=how)) == OBJECTS


def test_categories_in_cocos_form_name_the_classes_too(photo: Path, tmp_path: Path) -> None:
    table = tmp_path / "coco.json"
    categories = [{"id": 7 - place, "name": name} for place, name in enumerate(reversed(NAMES))]
    table.write_text(
        json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": categories})
    )

    assert objects_in(detected(squares_onnx(tmp_path / "yolo.onnx"), photo, table)) == OBJECTS


def test_other_names_than_the_file_has_classes_say_what_it_has(photo: Path, names: Path, tmp_path: Path) -> None:
    names.write_text("\n".join([*NAMES, "cyan", "pink"]))

    with pytest.raises(UserError, match=r"No outputs of 'yolo' are boxes with scores of 5 classes; .*\[7, 16\]") as no:
        detected(squares_onnx(tmp_path / "yolo.onnx"), photo, names)

    assert "before overlapping boxes are removed" in no.value.hint


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ({"task": "detection"}, "--task detection needs the names of the classes", "--labels FILE"),
        ({"task": "keypoints"}, "contain keypoints is found with labelled samples", "--task keypoints --samples"),
        ({"task": "detections"}, "Unknown task 'detections'. Did you mean 'detection'", ""),
        ({"boxes": "xyxy"}, "--boxes describes the boxes of a detector", "--task detection --boxes xyxy"),
        ({"task": "detection", "boxes": "xywh"}, "'xywh'", ""),
    ],
)
def test_what_is_missing_is_said_before_the_file_runs(
    said: dict[str, Any], message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(squares_onnx(tmp_path / "yolo.onnx"), input=[tmp_path / "missing.npy"], **said)

    assert hint in caught.value.hint


def test_an_image_for_a_file_that_nobody_described_names_the_preprocessing(photo: Path, tmp_path: Path) -> None:
    for file, steps in (
        (squares_onnx(tmp_path / "yolo.onnx"), "resize=64x64"),
        (float_tflite(tmp_path / "light.tflite"), "resize=4x4,color=gray,layout=nhwc"),
    ):
        with pytest.raises(UserError, match=r"is an image: --preprocess says how it becomes the input") as caught:
            run(file, input=[photo])

        assert caught.value.hint == f"--preprocess '{steps}'"
        run(file, input=[photo], preprocess=steps)


def test_a_file_that_takes_images_of_any_size_gets_it_from_the_preprocessing(
    photo: Path, names: Path, tmp_path: Path
) -> None:
    file = squares_onnx(tmp_path / "any.onnx", sides=("height", "width"))
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 64, 64), np.float32))

    assert objects_in(detected(file, photo, names)) == OBJECTS
    with pytest.raises(UserError, match="is not an image of a fixed size") as caught:
        run(file, input=[tmp_path / "x.npy"], task="detection", labels=names)

    assert caught.value.hint == "--preprocess 'letterbox=640x640' says its size."


def test_the_command_prints_boxes_and_draws_them(
    photo: Path, names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = squares_onnx(tmp_path / "yolo.onnx")
    words = ["run", str(file), "--task", "detection", "--input", str(photo), "--labels", str(names)]
    words += ["--preprocess", "letterbox=64x64"]

    assert edgekit_command([*words, "--output", str(tmp_path / "a.png")]) == 0
    assert edgekit_command([*words, "--output", str(tmp_path / "a.csv")]) == 0
    assert edgekit_command([*words, "--output", str(tmp_path / "a.txt")]) == 2

    printed = capsys.readouterr()
    words_first = [line.split()[0] for line in printed.out.splitlines() if line.startswith("  ")]
    assert words_first[0] == "object"
    assert set(words_first[1:3]) == {"red", "blue"}
    assert "was read as boxes cxcywh in pixels" in printed.err
    with (tmp_path / "a.csv").open(encoding="utf-8") as table:
        assert {row["label"] for row in csv.DictReader(table)} == {"red", "blue"}
    with Image.open(tmp_path / "a.png") as drawn:
        assert drawn.width >= 128


@pytest.mark.parametrize("last", [True, False])
def test_a_segmenter_prints_the_shares_of_its_classes_and_draws_them(last: bool, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "regions.txt").write_text("ground\nred\ngreen\nblue\n")

    found = run(
        regions_onnx(tmp_path / "regions.onnx", last=last),
        input=[photo],
        task="segmentation",
        labels=tmp_path / "regions.txt",
        preprocess="resize=64x64",
        output=tmp_path / "mask.png",
    )

    mask = found.answers[0].mask
    assert mask is not None
    # Two of sixteen cells are squares.
    assert mask[0].label == "ground"
    assert mask[0].share == pytest.approx(0.875, abs=0.02)
    assert {one.label for one in mask} == {"ground", "red", "blue"}
    axes = "[N, H, W, classes]" if last else "[N, classes, H, W]"
    assert found.notes == (f"'scores' was read as scores {axes}",)
    assert (tmp_path / "mask.png").is_file()


def test_a_mask_more_than_there_are_inputs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "twice.onnx"
    nodes = [helper.make_node("Concat", ["x", "x"], ["scores"], axis=0)]
    shape = [1, 3, 64, 64]
    file.write_bytes(onnx_model(nodes, [("x", FLOAT, shape)], [("scores", FLOAT, [2, *shape[1:]])]))
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "n.txt").write_text("a\nb\nc\n")

    with pytest.raises(UserError, match="there is not one prediction for each"):
        run(
            file,
            input=[tmp_path / "a.png"],
            task="segmentation",
            labels=tmp_path / "n.txt",
            preprocess="resize=64x64",
            output=tmp_path / "mask.png",
        )
