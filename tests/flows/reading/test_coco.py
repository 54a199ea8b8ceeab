"""Objects in COCO's form: matched with the images of a folder, and moved as the images are resized and cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.flows.reading.held import UNNAMED, Held
from edgekit.flows.reading.sample_files import label_names, read_described

WHOLE = ImageInput(32, 32)


def document(**changes: Any) -> dict[str, Any]:
    """Two images of 64 x 128 pixels: a white square of 16, and nothing."""
    return {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "sub/b.png"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 30, "bbox": [16, 64, 16, 16], "iscrowd": 0, "segmentation": []},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 64, 128], "iscrowd": 1},
        ],
        "categories": [{"id": 30, "name": "square"}, {"id": 2, "name": "all"}],
        "info": {"year": 2026},
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pixels = np.zeros((128, 64, 3), np.uint8)
    pixels[64:80, 16:32] = 255
    (tmp_path / "sub").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(np.zeros_like(pixels)).save(tmp_path / "sub" / "b.png")
    return tmp_path


def read(folder: Path, how: ImageInput | None = WHOLE, **changes: Any) -> Held:
    table = folder / "coco.json"
    table.write_text(json.dumps(document(**changes)), encoding="utf-8")
    return read_described(folder, table, how)


def test_objects_lie_where_their_pixels_are_after_resizing(folder: Path) -> None:
    held = read(folder)

    image, objects = held.arrays[UNNAMED][0], held.arrays["target:objects"]
    assert held.class_names == ("all", "square")
    assert objects[0].tolist() == [[8, 16, 16, 20, 1, 0], [0, 0, 32, 32, 0, 1]]
    assert image[:, :12].max() == 0
    assert image[:, 16:20, 8:16].mean() > 0.8
    assert objects[1, :, 4].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("how", "box"),
    [
        (ImageInput(32, 16, resize=(64,)), [0, 16, 8, 32]),
        (ImageInput(64, 32, resize=(64,)), [0, 32, 16, 48]),
        (ImageInput(32, 4, resize=(128, 64)), []),
        (ImageInput(64, 64, letterbox=114), [24, 32, 32, 40]),
    ],
    ids=["half of it is cut off", "whole", "too little of it is left", "with a border"],
)
def test_the_cut_of_an_image_cuts_its_objects(folder: Path, how: ImageInput, box: list[float]) -> None:
    rows = read(folder, how).arrays["target:objects"][0]

    assert rows[rows[:, 4] == 1][:, :4].tolist() == ([box] if box else [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 7, "file_name": "lost.png"}]}, "lists 'lost.png', which does not exist"),
        ({"images": [{"id": 7, "file_name": "../a.png"}]}, "which is not in"),
        ({"images": [{"id": 7, "file_name": "/etc/a.png"}]}, "which is not in"),
        ({"images": [{"id": 7, "file_name": "..\\a.png"}]}, "which is not in"),
        ({"images": []}, "no images or no categories"),
        ({"categories": [{"id": 2, "name": "all"}]}, "of category 30, which it does not list"),
        ({"annotations": [{"image_id": 7, "category_id": 2, "bbox": [1, 2]}]}, "not a list of objects"),
        ({"annotations": [{"image_id": 7, "category_id": 2, "bbox": [1, 2, "x", 4]}]}, "not a list of objects"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(folder, **changes)


def test_images_need_a_preprocessing(folder: Path) -> None:
    with pytest.raises(UserError, match="--preprocess says how"):
        read(folder, None)


def test_a_box_without_area_and_one_of_an_unknown_image_are_no_objects(folder: Path) -> None:
    flat = [
        {"image_id": 7, "category_id": 2, "bbox": [3, 3, 0, 9]},
        {"image_id": 4, "category_id": 2, "bbox": [3, 3, 9, 9]},
    ]

    assert (read(folder, annotations=flat).arrays["target:objects"][..., 4] == -1).all()


def test_a_list_of_objects_is_no_list_of_class_names(folder: Path) -> None:
    read(folder)

    assert label_names(folder / "coco.json") == ()
