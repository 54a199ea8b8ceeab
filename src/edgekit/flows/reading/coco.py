"""Reads what is in a folder of images from a .json in COCO's form: boxes with classes, and crowds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import TARGET
from edgekit.core.spec.input_kinds import ImageInput, Preprocessing
from edgekit.core.system.files import read_bytes
from edgekit.core.system.native.types import prepared
from edgekit.core.system.optional import need
from edgekit.flows.reading.held import UNNAMED, Held
from edgekit.flows.reading.sample_folders import read_files
from edgekit.runtime.detection import OBJECTS
from edgekit.runtime.preprocessing import cut_from, resized_to

COCO_SUFFIX: Final = ".json"
# Of a box that the cut of an image leaves, the least share that counts as the object.
_LEAST_LEFT: Final = 0.25
_COLUMNS: Final = 6


class _Image(msgspec.Struct, frozen=True):
    id: int
    file_name: str


class _Category(msgspec.Struct, frozen=True):
    id: int
    name: str


class _Annotation(msgspec.Struct, frozen=True):
    """`bbox` is the left upper corner, width and height in pixels of the file."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _Document(msgspec.Struct, frozen=True):
    images: tuple[_Image, ...]
    annotations: tuple[_Annotation, ...]
    categories: tuple[_Category, ...]


def read_coco(folder: Path, table: Path, how: Preprocessing | None) -> Held:
    """The images that `table` lists, from `folder`, with their objects as `target:objects`, (S, M, 6).

    Boxes are in pixels of the input of the model: resized and cut as the images are. Classes are numbered in the order
    of the ids of their categories.

    Raises:
        UserError: Not COCO's form, a file that is missing or outside of the folder, or no `how` for images.
    """
    document = _decoded(table)
    if not isinstance(how, ImageInput):
        raise UserError(
            f"'{table}' describes images: --preprocess says how one becomes an input.",
            hint="--preprocess 'letterbox=640x640'",
        )
    files = [_file(folder, image.file_name, table) for image in document.images]
    read = read_files(folder, files, how)
    categories = _sorted(document.categories)
    classes = {one.id: place for place, one in enumerate(categories)}
    there = _by_image(document, classes, table)
    objects = [_resized(there[document.images[row].id], files[row], how) for row in read.rows]
    names = tuple(one.name for one in categories)
    return Held(folder, {UNNAMED: read.values, f"{TARGET}{OBJECTS}": _padded(objects)}, names, how, read.warnings)


def category_names(table: Path) -> tuple[str, ...]:
    """The names of the categories in the order of their ids, which is that of the classes.

    Raises:
        UserError: Not COCO's form.
    """
    return tuple(one.name for one in _sorted(_decoded(table).categories))


def _sorted(categories: Sequence[_Category]) -> list[_Category]:
    return sorted(categories, key=lambda one: one.id)


def _decoded(table: Path) -> _Document:
    try:
        found = msgspec.json.decode(read_bytes(table), type=prepared(_Document))
    except msgspec.DecodeError as err:
        raise UserError(
            f"'{table}' is not a list of objects in COCO's form: {err}.",
            hint='{"images": [{"id", "file_name"}], "annotations": [{"image_id", "category_id", "bbox"}], '
            '"categories": [{"id", "name"}]}',
        ) from err
    if not found.images or not found.categories:
        raise UserError(f"'{table}' lists no images or no categories.")
    return found


def _file(folder: Path, name: str, table: Path) -> Path:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise UserError(f"'{table}' names '{name}', which is not in '{folder}'.")
    path = folder / parts
    if not path.is_file():
        raise UserError(f"'{table}' lists '{name}', which does not exist in '{folder}'.", hint="--samples FOLDER")
    return path


def _by_image(document: _Document, classes: Mapping[int, int], table: Path) -> Mapping[int, list[list[float]]]:
    """Rows of left, top, right, bottom, class, crowd for each image, in pixels of its file."""
    found: dict[int, list[list[float]]] = defaultdict(list)
    for one in document.annotations:
        if one.category_id not in classes:
            raise UserError(f"'{table}' has an object of category {one.category_id}, which it does not list.")
        left, top, width, height = one.bbox
        if width > 0 and height > 0:
            row = [left, top, left + width, top + height, float(classes[one.category_id]), float(bool(one.iscrowd))]
            found[one.image_id].append(row)
    return found


def _resized(rows: Sequence[Sequence[float]], file: Path, how: ImageInput) -> NDArray[np.float32]:
    """The objects in pixels of the input; those that the cut removes are left out."""
    objects = np.array(rows, np.float64).reshape(-1, _COLUMNS)
    if not len(objects):
        return objects.astype(np.float32)
    with need("PIL.Image", extra="images").open(file) as image:
        size = image.size
    scaled = resized_to(size, how)
    factors = np.array(scaled, np.float64) / np.array(size)
    corner = np.array(cut_from(scaled, how), np.float64)
    whole = objects[:, :4] * np.tile(factors, 2) - np.tile(corner, 2)
    seen = np.clip(whole, 0, np.tile([how.width, how.height], 2))
    kept = _areas(seen) >= _LEAST_LEFT * _areas(whole)
    return np.concatenate([seen, objects[:, 4:]], axis=1)[kept].astype(np.float32)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


def _padded(objects: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(S, M, 6), with rows of class -1 where a sample has fewer than M."""
    most = max(1, max((len(rows) for rows in objects), default=0))
    return np.stack([np.concatenate([rows, *_filling(most - len(rows))]) for rows in objects])


def _filling(count: int) -> Iterator[NDArray[np.float32]]:
    yield np.tile(np.array([0, 0, 0, 0, -1, 0], np.float32), (count, 1))
