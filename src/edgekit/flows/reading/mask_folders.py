"""Reads the masks of a folder of images: a PNG for each, whose values are class indices, with a palette or grey."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import TARGET
from edgekit.core.spec.input_kinds import ImageInput, Preprocessing
from edgekit.core.statistics.mask_overlap import IGNORED
from edgekit.core.system.optional import need
from edgekit.flows.reading.held import UNNAMED, Held
from edgekit.flows.reading.preprocess_option import EXAMPLE_IMAGE
from edgekit.flows.reading.sample_folders import read_files
from edgekit.runtime.preprocessing import IMAGE_SUFFIXES, cut_from, resized_to
from edgekit.runtime.segmentation import MASK

# The class names of a folder of masks, one per line.
CLASS_NAMES: Final = "labels.txt"
_SUFFIX: Final = ".png"
_MODES: Final = ("1", "L", "P", "I", "I;16")
_BLACK_AND_WHITE: Final = "masks contain 0 and 255 alone: 255 was read as class 1"


def read_masks(folder: Path, masks: Path, how: Preprocessing | None, labels: Sequence[str] = ()) -> Held:
    """The images of `folder` with the class of each place as `target:mask`, (S, H, W) uint8.

    Masks are resized and cut as the images are, to the nearest class; what is outside of an image is `IGNORED`.

    Raises:
        UserError: An image without a mask, a mask in colour or of another size, or no `how` for images.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    files = [path for path in files if masks.resolve() not in path.resolve().parents]
    if not files:
        raise UserError(f"'{folder}' contains no images ({', '.join(IMAGE_SUFFIXES)}).", hint="--samples FOLDER")
    if not isinstance(how, ImageInput):
        raise UserError(
            f"'{folder}' contains images: --preprocess says how one becomes an input.",
            hint=f"--preprocess '{EXAMPLE_IMAGE}'",
        )
    owned = _masks_of(files, folder, masks)
    read = read_files(folder, files, how)
    found = np.stack([_read(owned[row], files[row], how) for row in read.rows])
    notes = read.warnings
    if set(np.unique(found)) == {0, IGNORED} and not _is_padded(how):
        found, notes = (found == IGNORED).astype(np.uint8), (*notes, _BLACK_AND_WHITE)
    return Held(folder, {UNNAMED: read.values, f"{TARGET}{MASK}": found}, tuple(labels), how, notes)


def _masks_of(files: Sequence[Path], folder: Path, masks: Path) -> list[Path]:
    owned = [masks / file.relative_to(folder).with_suffix(_SUFFIX) for file in files]
    missing = [place for place, path in enumerate(owned) if not path.is_file()]
    if missing:
        first = missing[0]
        raise UserError(
            f"{len(missing)} of {len(files)} images have no mask: '{files[first]}' needs '{owned[first]}'.",
            hint="Give each mask the name of its image, with .png; place them in the same subfolders.",
        )
    return owned


def _read(path: Path, file: Path, how: ImageInput) -> NDArray[np.uint8]:
    """The mask in the size of the input."""
    image_module = need("PIL.Image", extra="images")
    try:
        with image_module.open(path) as mask, image_module.open(file) as image:
            whole, size = _indices(mask, path), image.size
    except OSError as err:
        raise UserError(f"Cannot read '{path}' as a mask: {err}.") from err
    if whole.shape != size[::-1]:
        raise UserError(
            f"The mask '{path}' has {whole.shape[1]} x {whole.shape[0]} pixels, its image {size[0]} x {size[1]}."
        )
    scaled = resized_to(size, how)
    small = image_module.fromarray(whole).resize(scaled, image_module.Resampling.NEAREST)
    left, top = cut_from(scaled, how)
    canvas = image_module.new("L", (how.width, how.height), IGNORED)
    canvas.paste(small, (-left, -top))
    return np.asarray(canvas, np.uint8)


def _indices(mask: Any, path: Path) -> NDArray[np.uint8]:
    """The class of each pixel: the index in the palette, or the grey value."""
    if mask.mode not in _MODES:
        raise UserError(
            f"The mask '{path}' is in colour ({mask.mode}); its values must be class indices.",
            hint="Save it with a palette (mode P) or in grey (mode L), e.g. Image.fromarray(indices).save(FILE).",
        )
    values = np.asarray(mask)
    if values.min() < 0 or values.max() > IGNORED:
        raise UserError(f"The mask '{path}' contains {int(values.max())}; classes are 0 to {IGNORED - 1}.")
    return values.astype(np.uint8)


def _is_padded(how: ImageInput) -> bool:
    """Whether the cut may be larger than the resized image, so that ignored places need not come from the file."""
    is_smaller = bool(how.resize) and (min(how.resize) < how.height or min(how.resize) < how.width)
    return is_smaller or how.letterbox is not None
