"""segment-digits: classes of digits weigh as much as the ground."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from edgekit.runtime.segmentation import MASK
from edgekit.train.data.scenes.masked_scenes import SIDE
from edgekit.train.model import Batch
from edgekit.train.models.objects.segment_digits import CLASSES, MODEL, loss


def test_the_loss_is_zero_for_the_truth_and_counts_wrong_digits() -> None:
    truth = torch.zeros(1, SIDE, SIDE, dtype=torch.long)
    truth[:, :5] = 4
    hot = 100 * torch.nn.functional.one_hot(truth, CLASSES).permute(0, 3, 1, 2).float()
    wrong = hot[:, [0, 1, 2, 3, 5, 4, *range(6, CLASSES)]]
    batch = Batch({"image": torch.zeros(1, 3, SIDE, SIDE)}, None, {MASK: truth})

    def of(logits: torch.Tensor) -> float:
        return float(loss(SimpleNamespace(model=lambda image: logits), batch))

    # Two of eleven classes occur: the overlap of the others is 0.
    assert abs(of(hot) - (1 - 2 / CLASSES)) < 1e-3
    assert of(wrong) > of(hot) + 50


def test_a_logit_for_each_class_and_pixel() -> None:
    with torch.no_grad():
        logits = MODEL.build().eval()(torch.rand(2, 3, SIDE, SIDE))

    assert logits.shape == (2, CLASSES, SIDE, SIDE)
