"""detect-digits: what it learns from is what is in the scene, and it finds what it has learnt."""

from __future__ import annotations

import numpy as np
import torch

from edgekit.runtime.detection import OBJECTS
from edgekit.train.data.scenes.boxed_scenes import SIDE
from edgekit.train.model import Batch
from edgekit.train.models.objects.detect_digits import CLASSES, MODEL, DetectDigits, _stretched, bells, generate

COUNT = 40


def batch() -> Batch:
    samples = generate(COUNT)
    inputs, targets = (
        {name: torch.from_numpy(array) for name, array in arrays.items()}
        for arrays in (samples.inputs, samples.targets)
    )
    return Batch(inputs, None, targets)


def test_boxes_follow_a_stretched_scene_and_nothing_is_cut_off() -> None:
    """The square of a generated scene is 1, its ground 0.4, and what is beyond the scene is 0."""
    scenes = batch()

    images, objects = _stretched(scenes.inputs["image"], scenes.targets[OBJECTS], torch.Generator().manual_seed(0))

    changed = 0
    for image, rows in zip(images, objects, strict=True):
        left, top, right, bottom = rows[0, :4].tolist()
        lit = (image[0] > 0.7).numpy()
        columns, lines = (np.flatnonzero(lit.any(axis=axis)) for axis in (0, 1))
        seen = [columns[0], lines[0], columns[-1] + 1, lines[-1] + 1]
        np.testing.assert_allclose([left, top, right, bottom], seen, atol=1.01)
        assert min(left, top) >= -0.01
        assert max(right, bottom) <= SIDE + 0.01
        assert (rows[1:] == torch.tensor([0.0, 0, 0, 0, -1, 0])).all()
        changed += abs(right - left - 20) > 1
    assert changed > COUNT / 4


def test_the_place_in_whose_cell_the_centre_is_has_the_full_score_and_missing_objects_have_none() -> None:
    network, scenes = DetectDigits(), batch()

    near = bells(scenes.targets[OBJECTS], network.places)

    assert near.shape == (COUNT, scenes.targets[OBJECTS].shape[1], len(network.places[0]))
    assert (near[:, 0] == 1).sum(1).tolist() == [1] * COUNT
    assert near[:, 1:].max() == 0
    best = network.places[0][near[:, 0].argmax(1)]
    centres = (scenes.targets[OBJECTS][:, 0, :2] + scenes.targets[OBJECTS][:, 0, 2:4]) / 2
    assert (best - centres).abs().max() <= 2


def test_boxes_are_corners_and_scores_are_probabilities() -> None:
    network = MODEL.build().eval()

    with torch.no_grad():
        boxes, scores = network(torch.rand(2, 3, SIDE, SIDE))

    assert scores.shape == (2, 576, CLASSES)
    assert (boxes[..., 2:] >= boxes[..., :2]).all()
    assert 0 < float(scores.min()) < float(scores.max()) < 0.5
