"""A user's own network that places points: from images with points to PCK of every artifact, and to a picture."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.cli.main import run as edgekit_command
from edgekit.core.bundle import Bundle
from edgekit.core.samples import TARGET, Feed, write_arrays
from edgekit.core.spec.output_kinds import KeypointsOutput
from edgekit.core.verdict import Verdict
from edgekit.runtime.tasks.keypoints import KEYPOINTS, points, true_points

# Read by the workers alone: tests that start workers import no torch.
NET = Path(__file__).parents[1] / "nets" / "dots.py"
COUNT, SIDE = 40, 48


def scene(
    rng: np.random.Generator, noise: int
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], list[list[int]]]:
    """A noisy image with a red, a green and a blue dot of 3 x 3 pixels, and where they are."""
    pixels = rng.integers(0, noise, (SIDE, SIDE, 3)).astype(np.uint8)
    places = [rng.integers(3, SIDE - 3, 2).tolist() for _ in range(3)]
    for colour, (x, y) in enumerate(places):
        pixels[y - 1 : y + 2, x - 1 : x + 2] = 255 * np.eye(3, dtype=np.uint8)[colour]
    return pixels, places


@pytest.mark.slow
def test_points_are_judged_by_pck_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    images, places = zip(*(scene(rng, 250) for _ in range(COUNT)), strict=True)
    truth = np.concatenate([np.array(places, np.float32), rng.integers(0, 3, (COUNT, 3, 1))], axis=2)
    arrays: Feed = {"image": np.stack(images), f"{TARGET}{KEYPOINTS}": truth.astype(np.float32)}
    write_arrays(tmp_path / "s.npz", arrays)
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n", encoding="utf-8")

    code = edgekit_command(
        ["export", f"{NET}:Dots", "--samples", str(tmp_path / "s.npz"), "--labels", str(tmp_path / "names.txt"),
         "--preprocess", f"resize={SIDE}x{SIDE}", "--to", "onnx-fp32,tflite-fp32,tflite-int8", "--max-drop", "2",
         "--out", str(tmp_path / "bundle"), "--quiet"]
    )  # fmt: skip

    assert code == 0
    (tmp_path / "s.npz").unlink()
    found = edgekit.validate(tmp_path / "bundle")
    assert found.verdict is Verdict.PASS
    with Bundle.open(tmp_path / "bundle") as bundle:
        assert bundle.spec.task == "keypoints"
        assert bundle.spec.postprocessing == KeypointsOutput("output", form="heatmaps")
        kept = bundle.samples()
        assert kept is not None
        true, placed = true_points(kept), points(kept.expected, bundle.spec)
    hits, known = 0, 0
    for row, where in zip(true, placed, strict=True):
        there = row[row[:, 2] > 0, :2]
        near = 0.2 * np.ptp(there, axis=0).max(initial=0) if len(there) else 0.0
        hits += int((np.hypot(*(where[row[:, 2] > 0, :2] - there).T) <= near).sum())
        known += len(there)
    for judged in found.accuracy:
        assert judged.metric == "pck"
        assert judged.reference.value == pytest.approx(hits / known)
        assert judged.quality.low is not None
        assert judged.quality.high is not None
        assert judged.quality.low < hits / known <= judged.quality.high
        assert judged.drop.value == pytest.approx(0, abs=0.02)

    pixels, where = scene(rng, 40)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    words = ["run", str(tmp_path / "bundle"), "--artifact", "tflite-int8", "--input", str(tmp_path / "one.png")]
    assert edgekit_command([*words, "--output", str(tmp_path / "found.csv")]) == 0
    printed = capsys.readouterr().out
    assert edgekit_command([*words, "--output", str(tmp_path / "found.png")]) == 0
    with (tmp_path / "found.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["point"] for row in rows] == ["red", "green", "blue"]
    assert all(row["point"] in printed for row in rows)
    assert np.array([[float(row["x"]), float(row["y"])] for row in rows]) == pytest.approx(np.array(where), abs=2)
    Image.fromarray(pixels).resize((3 * SIDE, 3 * SIDE), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    large = edgekit.load(tmp_path / "bundle").predict(tmp_path / "large.png").points
    assert large is not None
    assert np.array([(one.x, one.y) for one in large]) == pytest.approx(3 * np.array(where) + 1, abs=6)
    shown = np.asarray(Image.open(tmp_path / "found.png").convert("RGB"))
    scale = shown.shape[1] // SIDE
    x, y = (round((float(rows[1][axis]) + 0.5) * scale) for axis in ("x", "y"))
    assert shown[y, x].tolist() == [0x56, 0xB4, 0xE9]
