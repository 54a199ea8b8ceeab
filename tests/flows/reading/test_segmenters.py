"""A user's own segmentation network, with a folder of masks: from one command to a mask over a picture."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.cli.main import run as edgekit_command
from edgekit.core.bundle import Bundle
from edgekit.core.spec.output_kinds import SegmentationOutput
from edgekit.core.verdict import Verdict
from edgekit.flows.writing.drawn_masks import color_of

# Read by the workers alone: tests that start workers import no torch.
NET = Path(__file__).parents[1] / "nets" / "regions.py"
COUNT, PIXELS, CELL = 40, 128, 32
NAMES = ("ground", "red", "green", "blue")


def photos(folder: Path) -> None:
    """Noisy images with three squares each, and their masks; one square in ten is not known."""
    rng = np.random.default_rng(0)
    for name in ("photos", "masks"):
        (folder / name).mkdir()
    for image in range(COUNT):
        pixels = rng.integers(60, 120, (PIXELS, PIXELS, 3)).astype(np.uint8)
        mask = np.zeros((PIXELS, PIXELS), np.uint8)
        for cell in rng.choice(16, 3, replace=False):
            top, left = (CELL * int(place) for place in divmod(cell, 4))
            place, colour = (slice(top, top + CELL), slice(left, left + CELL)), int(rng.integers(3))
            pixels[place] = np.eye(3)[colour] * rng.uniform(120, 255)
            mask[place] = colour + 1 if rng.random() < 0.9 else 255
        Image.fromarray(pixels).save(folder / "photos" / f"{image}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{image}.png")
    (folder / "masks" / "labels.txt").write_text("\n".join(NAMES), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the network, the photos, and the bundle of one command."""
    folder = tmp_path_factory.mktemp("regions")
    shutil.copy(NET, folder / "mine.py")
    photos(folder)
    code = edgekit_command(
        ["export", f"{folder}/mine.py:Regions", "--task", "segmentation", "--samples", str(folder / "photos"),
         "--labels", str(folder / "masks"), "--preprocess", "resize=64x64,mean=0,std=1",
         "--to", "onnx-fp32,tflite-fp32,tflite-int8", "--max-drop", "1", "--out", str(folder / "bundle"), "--quiet"]
    )  # fmt: skip
    assert code == 0
    return folder


@pytest.mark.slow
def test_a_check_limits_the_overlap(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = made / "edgekit.toml"
    config.write_text(
        '[check]\nlaunches = 5\ntime_limit_s = 0.01\n[[check.models]]\npath = "bundle"\n'
        'artifact = ["onnx-fp32"]\nbudgets = ["miou >= 50 %", "miou.drop <= 1 pt", "accuracy >= 99.9 %"]\n'
    )

    code = edgekit_command(["check", "--config", str(config), "--json"])

    verdicts = {one["check"]: one["verdict"] for one in json.loads(capsys.readouterr().out)["results"]}
    assert code == 1
    wanted = {"miou >= 50 %": "pass", "miou.drop <= 1 pt": "pass", "accuracy >= 99.9 %": "fail"}
    assert {text: verdicts[text] for text in wanted} == wanted


@pytest.mark.slow
def test_the_masks_are_read_and_every_artifact_keeps_them(made: Path) -> None:
    found = edgekit.validate(made / "bundle")

    assert found.verdict is Verdict.PASS
    assert [row.metric for row in found.accuracy] == ["miou"] * 3
    for row in found.accuracy:
        assert row.reference.value is not None
        assert row.quality.low is not None
        assert row.quality.high is not None
        assert 0.8 < row.reference.value < 1
        assert row.quality.low < row.reference.value < row.quality.high
        assert row.drop.value == pytest.approx(0, abs=0.005)
    with Bundle.open(made / "bundle") as bundle:
        assert bundle.spec.postprocessing == SegmentationOutput("output")
        assert (bundle.spec.task, bundle.spec.labels) == ("segmentation", NAMES)


@pytest.mark.slow
def test_a_photo_gets_its_mask_as_a_table_and_as_a_picture(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, table, picture = made / "photos" / "0.png", tmp_path / "found.csv", tmp_path / "found.png"
    words = ["run", str(made / "bundle"), "--artifact", "tflite-int8", "--input", str(photo)]

    assert edgekit_command([*words, "--output", str(table)]) == 0
    assert edgekit_command([*words, "--input", str(made / "photos" / "1.png"), "--output", str(picture)]) == 0

    printed = capsys.readouterr().out
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["label"] == "ground"
    assert float(rows[0]["share"]) == pytest.approx(13 / 16, abs=0.02)
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)
    assert all(row["label"] in printed for row in rows)
    with edgekit.load(made / "bundle", artifact="tflite-int8") as session:
        mask = session.predict(photo).mask
    assert mask is not None
    assert mask.shape == (64, 64)
    shown = np.asarray(Image.open(picture).convert("RGB"))
    scale = shown.shape[1] // 128  # two images of 64 pixels
    assert scale * 64 >= 480
    row, column = np.argwhere(mask == int(rows[1]["class"]))[0]
    before = np.asarray(Image.open(photo).resize((64, 64), Image.Resampling.BILINEAR))[row, column]
    mixed = np.round(0.4 * before + 0.6 * np.array(color_of(int(rows[1]["class"]))))
    np.testing.assert_allclose(shown[row * scale + 1, column * scale + 1], mixed, atol=2)
    assert (shown[-2, -2] == 255).all()  # the legend is on white
