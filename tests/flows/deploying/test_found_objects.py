"""What a deployed program finds in real scenes is what edgekit finds and what a plain loop keeps, ties included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from tests.flows.deploying.small_bundles import small_bundle
from tests.runtime.test_detection import plain

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.flows.deploying.program_settings import settings_of
from edgekit.runtime.detection import found_objects
from edgekit.runtime.portable.deployed import objects, print_result
from edgekit.train.models.objects.detect_digits import MODEL
from edgekit.train.weights import load_network, require_weights, shipped_samples

COUNT = 16
SPEC = MODEL.spec


@pytest.fixture(scope="module")
def outputs() -> Feed:
    """Of the shipped scenes; scores have 64 steps, so that many are equal, as those of an int8 file are."""
    samples = shipped_samples("detect-digits")
    assert samples is not None
    network = load_network(MODEL, require_weights(MODEL))
    with torch.no_grad():
        boxes, scores = network(torch.from_numpy(samples.inputs["image"][:COUNT]))
    return {"boxes": np.round(boxes.numpy()), "scores": np.round(scores.numpy() * 64).astype(np.float32) / 64}


def settings() -> dict[str, Any]:
    """Of a file that has other names for its outputs."""
    stored = tuple(TensorSpec(f"stored_{one.name}", one.dtype, one.shape) for one in SPEC.outputs)
    file = Artifact("onnx-fp32", "a.onnx", "onnx", "fp32", 1, "", "", SPEC.inputs, stored, opset=18)
    found: dict[str, Any] = json.loads(settings_of(SPEC, file, "").encoded())
    return found


def test_a_program_finds_what_edgekit_finds(outputs: Feed, capsys: pytest.CaptureFixture[str]) -> None:
    known, total = settings(), 0
    for row in range(COUNT):
        one = {name: array[row : row + 1] for name, array in outputs.items()}

        found = objects({f"stored_{name}": array for name, array in one.items()}, known, Path("scene.npy"))

        assert found == [
            {"label": label, "score": score, "box": list(box)} for label, score, box in found_objects(one, SPEC)
        ]
        total += len(found)
    assert total > COUNT
    print_result("scene.png", {"objects": [{"label": "7", "score": 0.5, "box": [1.2, 2, 30.6, 40]}]})
    print_result("empty.png", {"objects": []})
    assert capsys.readouterr().out == "scene.png\n   50.00 %  7  1  2  31  40\nempty.png\n  no objects\n"


def test_boxes_in_an_image_file_are_in_its_pixels(outputs: Feed, tmp_path: Path) -> None:
    """Both ways, and by hand: 240 x 120 pixels become 96 x 48, below a border of 24."""
    how = ImageInput(96, 96, letterbox=114)
    wide = {**settings(), "preprocessing": msgspec.to_builtins(how)}
    Image.new("RGB", (240, 120)).save(tmp_path / "wide.png")
    one = {name: array[:1] for name, array in outputs.items()}
    stored = {f"stored_{name}": array for name, array in one.items()}

    there = objects(stored, wide, tmp_path / "wide.png")
    here = found_objects(one, msgspec.structs.replace(SPEC, preprocessing=how), (240, 120))

    assert there == [{"label": label, "score": score, "box": list(box)} for label, score, box in here]
    assert there
    for in_file, in_input in zip(there, objects(stored, wide, Path("scene.npy")), strict=True):
        left, top, right, bottom = in_input["box"]
        moved = np.array([left, top - 24, right, bottom - 24]) * 2.5
        np.testing.assert_allclose(in_file["box"], np.clip(moved, 0, [240, 120, 240, 120]), atol=1e-9)


def test_what_is_found_in_scenes_is_what_a_plain_loop_keeps(outputs: Feed) -> None:
    how, ties = settings()["detection"], 0
    for boxes, scores in zip(outputs["boxes"].astype(np.float64), outputs["scores"].astype(np.float64), strict=True):
        classes, best = scores.argmax(axis=1), scores.max(axis=1)
        rows = np.flatnonzero(best >= how["threshold"])
        ties += len(rows) - len(set(best[rows]))
        kept = plain(boxes[rows], best[rows], classes[rows], how["overlap"], how["most"])

        one = {"boxes": boxes[None], "scores": scores[None]}
        wanted = [tuple(map(float, boxes[rows[place]])) for place in kept]
        assert [found.box for found in found_objects(one, SPEC)] == wanted
    assert ties > COUNT


def test_a_model_that_is_no_detector_has_no_form_of_boxes(tmp_path: Path) -> None:
    bundle = Bundle.open(small_bundle(tmp_path / "bundle"))

    assert settings_of(bundle.spec, bundle.artifacts[0], "").detection is None
