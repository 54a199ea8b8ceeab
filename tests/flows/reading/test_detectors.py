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

# Read by the workers alone: tests that start workers import no torch.
NET = Path(__file__).parents[1] / "nets" / "squares.py"
COUNT, PIXELS, CELL, CLASSES = 60, 128, 32, 80
COLOURS = ("red", "green", "blue")


def photos(folder: Path) -> tuple[Path, Path]:
    """Noisy images with one to four squares each, and their list with 80 classes; one square in ten is unlabelled."""
    rng = np.random.default_rng(0)
    images, objects = folder / "photos", []
    images.mkdir()
    for image in range(COUNT):
        pixels = rng.integers(60, 120, (PIXELS, PIXELS, 3)).astype(np.uint8)
        for cell in rng.choice(16, rng.integers(1, 5), replace=False):
            top, left = (CELL * int(place) for place in divmod(cell, 4))
            colour = int(rng.integers(3))
            pixels[top : top + CELL, left : left + CELL] = np.eye(3)[colour] * rng.uniform(120, 255)
            if rng.random() < 0.9:
                objects.append({"image_id": image, "category_id": colour + 1, "bbox": [left, top, CELL, CELL]})
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
        ["export", f"{folder}/mine.py:Squares", "--task", "detection", "--samples", str(images), "--labels", str(table),
         "--preprocess", "resize=64x64,mean=0,std=1", "--to", "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8",
         "--out", str(folder / "bundle"), "--quiet"]
    )  # fmt: skip
    assert code == 0
    return folder


@pytest.mark.slow
def test_the_form_of_the_boxes_is_found_and_every_artifact_keeps_its_scores(made: Path) -> None:
    found = edgekit.validate(made / "bundle")

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
    with Bundle.open(made / "bundle") as bundle:
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
    photo, table, picture = made / "photos" / "0.png", tmp_path / "found.csv", tmp_path / "found.png"
    words = ["run", str(made / "bundle"), "--artifact", artifact, "--input", str(photo)]
    expected = {
        (COLOURS[one["category_id"] - 1], *(edge // 2 for edge in one["bbox"][:2]))
        for one in json.loads((made / "coco.json").read_text())["annotations"]
        if one["image_id"] == 0
    }

    assert edgekit_command([*words, "--output", str(table)]) == 0
    assert edgekit_command([*words, "--output", str(picture)]) == 0

    printed = capsys.readouterr().out
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert expected <= {(row["label"], round(float(row["x1"])), round(float(row["y1"]))) for row in rows}
    assert all(row["label"] in printed for row in rows)
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (photo, picture))
    assert after.shape[0] == after.shape[1] >= 480
    left, top = (round(float(rows[0][edge]) * after.shape[1] / 64) for edge in ("x1", "y1"))
    assert (after[top : top + 2, left + 40 : left + 60] != before[0, 0]).all(axis=-1).all()
    with edgekit.load(made / "bundle", artifact=artifact) as session:
        objects = session.predict(photo).objects
    assert objects is not None
    assert [one.label for one in objects] == [row["label"] for row in rows]


def test_a_report_shows_the_boxes_of_pytorch_and_of_int8(made: Path) -> None:
    with opened(made / "bundle") as found:
        report = Report(command="build", created="", spec=found.spec, artifacts=found.artifacts)
        pictures = with_pictures(report, found, Silent()).pictures

    assert pictures is not None
    assert [one.sample for one in pictures.samples] == [0, 1, 2]
    assert [panel.title for panel in pictures.samples[0].panels] == ["PyTorch", pictures.artifact]
    with Image.open(io.BytesIO(pictures.samples[0].panels[1].png)) as drawn:
        assert drawn.width >= 480
