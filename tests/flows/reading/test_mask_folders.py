"""Masks in files: matched with the images of a folder, and resized and cut as these are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.flows.reading.held import Held
from edgekit.flows.reading.sample_files import label_names, read_described

WHOLE = ImageInput(4, 8)
# 8 x 16 pixels: class 2 on the right half, nothing known in the last rows.
CLASSES = np.zeros((8, 16), np.uint8)
CLASSES[:, 8:] = 2
CLASSES[6:] = 255


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("photos/sub", "masks/sub"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("a", "sub/b"):
        Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(tmp_path / "photos" / f"{name}.jpg")
    Image.fromarray(CLASSES).save(tmp_path / "masks" / "a.png")
    with_palette = Image.fromarray(CLASSES)
    with_palette.putpalette([7, 7, 7] * 256)
    with_palette.save(tmp_path / "masks" / "sub" / "b.png")
    return tmp_path


def read(folder: Path, how: ImageInput | None = WHOLE) -> Held:
    return read_described(folder / "photos", folder / "masks", how)


def test_masks_are_read_with_a_palette_or_in_grey(folder: Path) -> None:
    found = read(folder).arrays

    assert found[""].shape == (2, 3, 4, 8)
    expected = np.where(np.arange(4)[:, None] == 3, 255, np.where(np.arange(8) < 4, 0, 2))
    for mask in found["target:mask"]:
        np.testing.assert_array_equal(mask, expected)


def test_masks_are_cut_as_images_are_and_nothing_is_known_beyond(folder: Path) -> None:
    small, wide = ImageInput(4, 4, resize=(4,)), ImageInput(12, 16, resize=(8, 16))

    np.testing.assert_array_equal(read(folder, small).arrays["target:mask"][0][0], [0, 0, 2, 2])
    padded = read(folder, wide).arrays["target:mask"][0]
    assert (padded[:2] == 255).all()
    assert padded[2:8].max() == 2


def test_nothing_is_known_of_the_border_of_a_letterbox(folder: Path) -> None:
    framed = read(folder, ImageInput(8, 8, letterbox=114)).arrays["target:mask"][0]

    assert (framed[[0, 1, 6, 7]] == 255).all()
    np.testing.assert_array_equal(framed[2], [0, 0, 0, 0, 2, 2, 2, 2])


def test_black_and_white_masks_are_two_classes(folder: Path) -> None:
    white = np.where(CLASSES == 2, 255, 0).astype(np.uint8)
    Image.fromarray(white).save(folder / "masks" / "a.png")
    Image.fromarray(white == 255).save(folder / "masks" / "sub" / "b.png")  # mode 1
    Image.fromarray(white).save(folder / "masks" / "sub" / "b.png")

    found = read(folder)

    assert set(np.unique(found.arrays["target:mask"])) == {0, 1}
    assert found.warnings == ("masks contain 0 and 255 alone: 255 was read as class 1",)


def test_class_names_are_in_a_file_next_to_the_masks(folder: Path) -> None:
    assert label_names(folder / "masks") == ()
    (folder / "masks" / "labels.txt").write_text("ground\ncat\ndog\n", encoding="utf-8")

    assert label_names(folder / "masks") == read(folder).class_names == ("ground", "cat", "dog")


def test_a_mask_that_does_not_fit_is_refused_by_its_name(folder: Path) -> None:
    Image.fromarray(CLASSES[:4]).save(folder / "masks" / "a.png")
    with pytest.raises(UserError, match=r"a\.png' has 16 x 4 pixels, its image 16 x 8"):
        read(folder)
    Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(folder / "masks" / "a.png")
    with pytest.raises(UserError, match=r"a\.png' is in colour \(RGB\)"):
        read(folder)
    Image.fromarray(CLASSES.astype(np.uint16) * 9).save(folder / "masks" / "a.png")
    with pytest.raises(UserError, match="contains 2295; classes are 0 to 254"):
        read(folder)
    (folder / "masks" / "a.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"Cannot read '.*a\.png' as a mask"):
        read(folder)
    (folder / "masks" / "a.png").unlink()
    with pytest.raises(UserError, match=r"1 of 2 images have no mask: .*a\.jpg' needs .*a\.png'"):
        read(folder)
    with pytest.raises(UserError, match="--preprocess says how one becomes an input"):
        read(folder, None)
