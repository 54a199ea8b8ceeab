"""The metric of files without a bundle, on photos with labels as `build` takes them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from PIL import Image
from tests.flows.nets.bare_files import float_tflite, int8_tflite, regions_onnx, squares_onnx
from tests.runtime.data.make import FLOAT, onnx_model

from edgekit.cli.main import run as edgekit_command
from edgekit.core.errors import UserError
from edgekit.core.reports.report import Accuracy, Report
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.verdict import Verdict
from edgekit.flows.validate import validate
from edgekit.report import verdicts

COUNT = 20
COLOURS = ("red", "green", "blue")
DARK = "resize=4x4,color=gray"


@pytest.fixture
def greys(tmp_path: Path) -> Path:
    """Ten dark and ten light photos in the folders of their classes; three are in the wrong one."""
    for place in range(COUNT):
        is_dark = place < COUNT // 2
        folder = tmp_path / "greys" / ("dark" if is_dark != (place % 7 == 0) else "light")
        folder.mkdir(parents=True, exist_ok=True)
        level = 4 * place if is_dark else 255 - 4 * place
        Image.fromarray(np.full((9, 9), level, np.uint8)).save(folder / f"{place}.png")
    return tmp_path / "greys"


def light_onnx(path: Path) -> Path:
    """image (N, 1, 4, 4) -> logits (N, 2) of dark and light."""
    weights = np.stack([np.full(16, -1.0), np.full(16, 1.0)], 1).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    constants = [("w", weights), ("b", np.array([8, -8], np.float32))]
    shapes = [("image", FLOAT, ["N", 1, 4, 4])], [("logits", FLOAT, ["N", 2])]
    path.write_bytes(onnx_model(nodes, *shapes, constants))
    return path


def only(report: Report) -> Accuracy:
    assert report.parity == ()
    (found,) = report.accuracy
    return found


@pytest.mark.parametrize(
    ("make", "how"),
    [(light_onnx, DARK), (float_tflite, f"{DARK},layout=nhwc"), (int8_tflite, f"{DARK},layout=nhwc")],
)
def test_subfolders_are_the_classes_of_a_classifier(
    make: Callable[[Path], Path], how: str, greys: Path, tmp_path: Path
) -> None:
    file = make(tmp_path / f"net{'.onnx' if make is light_onnx else '.tflite'}")

    report = validate(file, samples=greys, preprocess=how)

    found = only(report)
    assert (found.metric, found.quality.n) == ("accuracy", COUNT)
    assert found.quality.value == pytest.approx(17 / COUNT)
    assert found.quality.low is not None
    assert found.quality.high is not None
    assert 0.6 < found.quality.low < 17 / COUNT < found.quality.high < 1
    assert found.drop.value is None
    assert report.spec is not None
    assert (report.spec.task, report.spec.labels) == ("classification", ("dark", "light"))
    assert report.verdict is Verdict.PASS
    assert verdicts.is_measured(report)


def test_a_csv_and_names_in_the_order_of_the_scores_are_read_as_by_build(greys: Path, tmp_path: Path) -> None:
    with (greys / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerows(
            [("file", "label"), *((one.relative_to(greys), one.parent.name) for one in greys.rglob("*.png"))]
        )
    (tmp_path / "wrong-order.txt").write_text("light\ndark\n")

    found = only(validate(light_onnx(tmp_path / "net.onnx"), samples=greys / "labels.csv", preprocess=DARK))
    other = validate(
        tmp_path / "net.onnx", samples=greys / "labels.csv", labels=tmp_path / "wrong-order.txt", preprocess=DARK
    )

    assert found.quality.value == pytest.approx(17 / COUNT)
    assert only(other).quality.value == pytest.approx(3 / COUNT)


def squares(folder: Path) -> tuple[Path, Path]:
    """Photos of 128 x 128 pixels with two squares each, and their list in COCO's form, which lacks one in ten."""
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    objects = []
    for image in range(COUNT):
        pixels = rng.integers(60, 120, (128, 128, 3)).astype(np.uint8)
        for cell in rng.choice(16, 2, replace=False):
            top, left = (32 * int(one) for one in divmod(int(cell), 4))
            colour = int(rng.integers(3))
            pixels[top : top + 32, left : left + 32] = 255 * np.eye(3)[colour]
            if rng.random() < 0.9:
                objects.append({"image_id": image, "category_id": colour + 1, "bbox": [left, top, 32, 32]})
        Image.fromarray(pixels).save(folder / "photos" / f"{image}.png")
    document = {
        "images": [{"id": image, "file_name": f"{image}.png"} for image in range(COUNT)],
        "annotations": objects,
        "categories": [{"id": number + 1, "name": name} for number, name in enumerate(COLOURS)],
    }
    (folder / "coco.json").write_text(json.dumps(document), encoding="utf-8")
    return folder / "photos", folder / "coco.json"


@pytest.mark.parametrize("how", ["cxcywh", "yxyx"])
def test_labelled_objects_find_how_a_detector_writes_its_boxes(how: str, tmp_path: Path) -> None:
    photos, table = squares(tmp_path)

    report = validate(
        squares_onnx(tmp_path / "yolo.onnx", how),
        samples=photos,
        labels=table,
        task="detection",
        preprocess="letterbox=64x64",
    )

    found = only(report)
    assert found.metric == "map50"
    assert found.quality.value is not None
    assert found.quality.low is not None
    assert 0.6 < found.quality.low < found.quality.value < 1
    assert report.spec is not None
    assert isinstance(report.spec.postprocessing, DetectionOutput)
    assert report.spec.postprocessing.corners == how
    assert report.warnings[0].startswith(f"'output' was read as boxes {how} in pixels: map50 0.")


def test_a_folder_of_masks_gives_the_overlap_of_a_segmenter(tmp_path: Path) -> None:
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    for image in range(4):
        pixels, mask = np.full((64, 64, 3), 90, np.uint8), np.zeros((64, 64), np.uint8)
        pixels[16:32, 16 * image : 16 * image + 16] = 255 * np.eye(3)[image % 3]
        mask[16:32, 16 * image : 16 * image + 16] = image % 3 + 1
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{image}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{image}.png")

    found = validate(
        regions_onnx(tmp_path / "net.onnx"),
        samples=tmp_path / "photos",
        labels=tmp_path / "masks",
        preprocess="resize=64x64",
    )

    assert only(found).metric == "miou"
    assert only(found).quality.value == pytest.approx(1, abs=0.1)


def test_samples_without_labels_or_with_other_classes_are_refused(greys: Path, tmp_path: Path) -> None:
    file = light_onnx(tmp_path / "net.onnx")
    np.savez(tmp_path / "other.npz", image=np.zeros((3, 1, 4, 4), np.float32), label=[0, 1, 2])

    with pytest.raises(UserError, match=r"have no labels, so '.*net\.onnx' has no metric"):
        validate(file, samples=greys / "dark", preprocess=DARK)
    with pytest.raises(UserError, match=r"'label' contains class 2; output 'logits' has 2 scores"):
        validate(file, samples=tmp_path / "other.npz")
    with pytest.raises(UserError, match="contains images: --preprocess says"):
        validate(file, samples=greys)


def test_other_predictions_than_there_are_samples_are_refused(tmp_path: Path) -> None:
    photos, table = squares(tmp_path)
    shape = [1, 7, 16]
    for name, repeats in (("twice", 2), ("none", 0)):
        file, boxes = tmp_path / f"{name}.onnx", np.zeros((repeats, *shape[1:]), np.float32)
        nodes = [helper.make_node("Identity", ["boxes"], ["output"])]
        described = [("output", FLOAT, list(boxes.shape))]
        file.write_bytes(onnx_model(nodes, [("image", FLOAT, ["N", 3, 64, 64])], described, [("boxes", boxes)]))

        with pytest.raises(UserError, match=rf"'{name}' returned {repeats * COUNT} predictions for {COUNT} samples"):
            validate(file, samples=photos, labels=table, preprocess="letterbox=64x64")


def test_a_description_is_refused_where_there_is_one(classifier: Path, greys: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--task does not apply to .*, which has its own"):
        validate(classifier, task="detection")
    with pytest.raises(
        UserError, match=r"--preprocess does not apply to .*, which is judged on the samples of its ref"
    ):
        validate(light_onnx(tmp_path / "net.onnx"), reference=classifier, preprocess=DARK)


def test_the_command_prints_the_metric_with_its_interval_and_judges_nothing(
    greys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = light_onnx(tmp_path / "net.onnx")
    words = ["validate", str(file), "--samples", str(greys), "--preprocess", DARK]

    assert edgekit_command([*words, "--report", str(tmp_path / "r.html"), "--report", str(tmp_path / "r.md")]) == 0
    printed = capsys.readouterr().out
    assert edgekit_command([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert "accuracy on 20 samples" in printed
    assert "interval" in printed
    assert "MEASURED on 20 samples: there is no budget and no reference to judge by." in printed
    (found,) = document["accuracy"]
    low, high = (f"{100 * found['quality'][end]:.2f}" for end in ("low", "high"))
    assert f"{low}..{high}" in printed
    assert found["drop"] == {**found["drop"], "value": None, "reason": "the file has no reference"}
    assert "85.00 %" in (tmp_path / "r.md").read_text()
    assert "85.00 %" in (tmp_path / "r.html").read_text()
