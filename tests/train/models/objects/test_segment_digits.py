"""segment-digits: classes of digits weigh as much as the ground."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from edgekit.runtime.segmentation import MASK
from edgekit.train.data.scenes.masked_scenes import SIDE
from edgekit.train.model import Batch
from edgekit.train.models.objects.segment_digits import CLASSES, MODEL, augment, loss


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


def test_which_digit_is_wrong_costs_more_than_where_its_strokes_end() -> None:
    truth = torch.zeros(1, SIDE, SIDE, dtype=torch.long)
    truth[:, 10:30, 10:14] = 4
    thick = torch.zeros_like(truth)
    thick[:, 10:30, 10:15] = 4

    def of(classes: torch.Tensor) -> float:
        logits = 5 * torch.nn.functional.one_hot(classes, CLASSES).permute(0, 3, 1, 2).float()
        batch = Batch({"image": torch.zeros(1, 3, SIDE, SIDE)}, None, {MASK: truth})
        return float(loss(SimpleNamespace(model=lambda image: logits), batch))

    assert of(truth) < of(thick) < of(torch.where(truth > 0, 5, 0))


def test_pictures_and_masks_are_changed_together() -> None:
    masks = torch.zeros(40, SIDE, SIDE, dtype=torch.uint8)
    masks[:, 8:40, 14:20] = 3
    masks[:, 8:14, 24:34] = 7
    images = torch.where(masks > 0, 0.9, 0.1)[:, None].expand(-1, 3, -1, -1).contiguous()

    found = augment(Batch({"image": images}, None, {MASK: masks}), torch.Generator().manual_seed(0))

    changed = 0
    for image, mask, before in zip(found.inputs["image"].mean(1), found.targets[MASK], masks, strict=True):
        inside, outside = image[mask > 0].mean(), image[mask == 0].mean()
        nearer = (image - inside).abs() < (image - outside).abs()
        assert (nearer == (mask > 0)).float().mean() > 0.99
        assert set(mask.unique().tolist()) == {0, 3, 7}
        changed += not torch.equal(mask, before)
    assert found.targets[MASK].dtype == masks.dtype
    assert 10 <= changed <= 30


def test_a_logit_for_each_class_and_pixel() -> None:
    with torch.no_grad():
        logits = MODEL.build().eval()(torch.rand(2, 3, SIDE, SIDE))

    assert logits.shape == (2, CLASSES, SIDE, SIDE)
