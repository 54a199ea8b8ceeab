"""A user's own detector, with objects in COCO's form: from one command to boxes on a picture."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.cli.main import run as edgekit_command
from edgekit.core.bundle import Bundle
from edgekit.core.reports.report import Report
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.system.progress import Silent
from edgekit.core.verdict import Verdict
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.saliency.pictured import with_pictures
from edgekit.flows.writing.drawn_objects import COLORS

# Read by the workers alone: tests that start workers import no torch.
NET = Path(__file__).parents[1] / "nets" / "squares.py"
COUNT, CLASSES = 60, 80
# The cells of 16 pixels of the input, in photos of other sizes: whole ones, wide and high ones, and a large one.
CELLS = ((4, 4, 32), (2, 4, 32), (4, 2, 32), (2, 4, 64))
COLOURS = ("red", "green", "blue")
EDGES = ("x1", "y1", "x2", "y2")
LINES = [list(bytes.fromhex(color[1:])) for color in COLORS]


def photos(folder: Path) -> tuple[Path, Path]:
    """Noisy images of four sizes with one to four squares each, and their list with 80 classes.

    One square in ten is unlabelled.
    """
    rng = np.random.default_rng(0)
    images, objects = folder / "photos", []
    images.mkdir()
    for image in range(COUNT):
        rows, columns, cell = CELLS[image % len(CELLS)]
        pixels = rng.integers(60, 120, (rows * cell, columns * cell, 3)).astype(np.uint8)
        for place in rng.choice(rows * columns, rng.integers(1, 5), replace=False):
            top, left = (cell * int(one) for one in divmod(place, columns))
            colour = int(rng.integers(3))
            pixels[top : top + cell, left : left + cell] = np.eye(3)[colour] * rng.uniform(120, 255)
            if rng.random() < 0.9:
                objects.append({"image_id": image, "category_id": colour + 1, "bbox": [left, top, cell, cell]})
        Image.fromarray(pixels).save(images / f"{image}.png")
    names = [*COLOURS, *(f"class {number}" for number in range(3, CLASSES))]
    document = {
        "images": [{"id": image, "file_name": f"{image}.png"} for image in range(COUNT)],
        "annotations": objects,
        "categories": [{"id": number + 1, "name": name} for number, name in enumerate(names)],
    }
    (folder / "coco.json").write_text(json.dumps(document), encoding="utf-8")
    return images, folder / "coco.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the network, the photos, and the bundle of one command."""
    folder = tmp_path_factory.mktemp("squares")
    shutil.copy(NET, folder / "mine.py")
    images, table = photos(folder)
    code = edgekit_command(
        ["build", f"{folder}/mine.py:Squares", "--task", "detection", "--samples", str(images), "--labels", str(table),
         "--preprocess", "letterbox=64x64", "--to", "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8",
         "--budget", "map50 >= 0.5, accuracy.drop <= 5 pt", "--launches", "2", "--time-limit", "100ms",
         "--out", str(folder / "built"), "--quiet"]
    )  # fmt: skip
    assert code == 0
    return folder


@pytest.mark.slow
def test_the_form_of_the_boxes_is_found_and_every_artifact_keeps_its_scores(made: Path) -> None:
    found = edgekit.validate(made / "built" / "bundle")

    assert found.verdict is Verdict.PASS
    assert {row.metric for row in found.accuracy} == {"map50"}
    assert len(found.accuracy) == 4
    for row in found.accuracy:
        assert row.quality.value is not None
        assert row.reference.value is not None
        assert 0.7 < row.reference.value < 1
        assert row.drop.value == pytest.approx(0, abs=0.01)
        assert row.quality.low is not None
        assert row.quality.low < row.quality.value
    report = json.loads((made / "built" / "report.json").read_text())
    assert {(one["budget"], one["verdict"]) for one in report["budgets"]} == {
        ("map50 >= 0.5", "pass"),
        ("accuracy.drop <= 5 pt", "pass"),
    }
    with Bundle.open(made / "built" / "bundle") as bundle:
        how = bundle.spec.postprocessing
        assert isinstance(how, DetectionOutput)
        assert (how.boxes, how.corners, how.unit, how.channels_first) == (how.scores, "cxcywh", "pixels", True)
        assert bundle.spec.task == "detection"
        assert bundle.spec.labels[:3] == COLOURS


@pytest.mark.slow
@pytest.mark.parametrize("artifact", ["onnx-fp32", "tflite-int8"])
def test_a_photo_gets_its_boxes_as_a_table_and_as_a_picture(
    made: Path, artifact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, table, picture = [made / "photos" / f"{row}.png" for row in (1, 3)], tmp_path / "a.csv", tmp_path / "a.png"
    words = ["run", str(made / "built" / "bundle"), "--artifact", artifact]
    words += [word for photo in photos for word in ("--input", str(photo))]

    assert edgekit_command([*words, "--output", str(table)]) == 0
    assert edgekit_command([*words, "--output", str(picture)]) == 0

    printed = capsys.readouterr().out
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {(row["input"], row["label"], *(round(float(row[edge])) for edge in EDGES)) for row in rows}
    assert expected_in(made, photos) <= found
    assert all(row["label"] in printed for row in rows)
    drawn = np.asarray(Image.open(picture).convert("RGB"))
    assert drawn.shape == (256, 2 * 512, 3)  # 64 x 128 and 128 x 256 pixels, enlarged by whole numbers
    for photo, scale, start in zip(photos, (4, 2), (0, 512), strict=True):
        row = next(row for row in rows if row["input"] == str(photo))
        right, bottom = (min(scale * round(float(row[edge])), most - 1) for edge, most in (("x2", 512), ("y2", 256)))
        line = drawn[bottom - 1, start + right - 40 : start + right - 20]
        assert (line == line[0]).all()
        assert line[0].tolist() in LINES
    with edgekit.load(made / "built" / "bundle", artifact=artifact) as session:
        objects = session.predict(photos[1]).objects
        pixels = session.predict(np.asarray(Image.open(photos[1]))).objects
    assert objects is not None
    assert objects == pixels
    assert [one.label for one in objects] == [row["label"] for row in rows if row["input"] == str(photos[1])]


def expected_in(made: Path, photos: list[Path]) -> set[tuple[str | int, ...]]:
    """Photo, colour and edges of each labelled square, in pixels of its photo."""
    found = set[tuple[str | int, ...]]()
    for one in json.loads((made / "coco.json").read_text())["annotations"]:
        left, top, width, height = one["bbox"]
        path = made / "photos" / f"{one['image_id']}.png"
        if path in photos:
            found.add((str(path), COLOURS[one["category_id"] - 1], left, top, left + width, top + height))
    return found


def test_a_report_shows_the_boxes_of_pytorch_and_of_int8(made: Path) -> None:
    with opened(made / "built" / "bundle") as found:
        report = Report(command="build", created="", spec=found.spec, artifacts=found.artifacts)
        pictures = with_pictures(report, found, Silent()).pictures

    assert pictures is not None
    assert [one.sample for one in pictures.samples] == [0, 1, 2]
    assert [panel.title for panel in pictures.samples[0].panels] == ["PyTorch", pictures.artifact]
    with Image.open(io.BytesIO(pictures.samples[0].panels[1].png)) as drawn:
        assert drawn.width >= 480
