from __future__ import annotations

import torch

from edgekit.train.augment import affine, cutout, flip, shift

IMAGES = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_shift_moves_whole_images_and_fills_with_zero() -> None:
    moved = shift(IMAGES, seeded(), pixels=2)

    assert moved.shape == IMAGES.shape
    for before, after in zip(IMAGES, moved, strict=True):
        assert set(after[after != 0].tolist()) <= set(before.flatten().tolist())


def test_flip_mirrors_about_half() -> None:
    flipped = flip(IMAGES, seeded())

    same = [torch.equal(a, b) for a, b in zip(IMAGES, flipped, strict=True)]
    assert 3 < sum(same) < 13
    assert all(torch.equal(a, b) or torch.equal(a.flip(-1), b) for a, b in zip(IMAGES, flipped, strict=True))


def test_affine_without_range_changes_nothing() -> None:
    assert torch.allclose(affine(IMAGES, seeded(), degrees=0), IMAGES, atol=1e-5)


def test_affine_turns_by_the_angle() -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 8] = 1.0

    turned = affine(image.repeat(200, 1, 1, 1), seeded(), degrees=90)

    rows = turned[:, 0].amax(dim=2).argmax(dim=1)
    assert rows.min() <= 1
    assert rows.max() >= 7


def test_cutout_hides_one_square() -> None:
    holes = cutout(IMAGES, seeded(), size=4) == 0

    assert bool((holes.flatten(1).sum(1) > 0).all())
    assert int(holes.flatten(1).sum(1).max()) <= 3 * 16
