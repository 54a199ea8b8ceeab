"""Draws saliency maps over their input: a row for each input, a panel for each artifact, and their difference."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, write_arrays
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import new_file, write_atomic
from edgekit.core.system.optional import need
from edgekit.flows.saliency.maps import Shown, alike
from edgekit.flows.saliency.views import View
from edgekit.runtime.preprocessing import is_raw, pixels_of

_SIDE_PX: Final = 256
_GAP_PX: Final = 8
_TEXT_PX: Final = 20
_FONT_PX: Final = 13
_FLAT: Final = 8
_NAME: Final = 40
# Told apart with most kinds of colour blindness (Okabe and Ito 2008): where hiding lowers the score, and raises it.
_FOR: Final = np.array((213, 94, 0), np.float64)
_AGAINST: Final = np.array((0, 114, 178), np.float64)
_STRENGTH: Final = 0.8
_INK: Final = 60


def refuse_picture(path: Path) -> None:
    """Raise, before any work, for a file that cannot hold saliency maps.

    Raises:
        UserError: It ends neither in .png nor in .npz.
        MissingExtra: It is a png, and Pillow is not installed.
    """
    if path.suffix.lower() not in (".png", ".npz"):
        raise UserError(f"'{path}' cannot store saliency: expected .png, .npz.", hint="--explain saliency.png")
    if path.suffix.lower() == ".png":
        need("PIL.Image", extra="images")


def write_saliency(shown: Sequence[Shown], spec: ModelSpec, path: Path) -> None:
    """Write a .png of all inputs, one below the other, or an .npz with the maps: `0:onnx-fp32` is that of the first."""
    if path.suffix.lower() == ".npz":
        arrays = {f"{number}:{name}": found for number, one in enumerate(shown) for name, found in one.maps.items()}
        with new_file(path) as temporary:
            write_arrays(temporary, arrays)
        return
    rows = [row(one, spec) for one in shown]
    width = max(one.shape[1] for one in rows)
    write_atomic(path, png(np.concatenate([_padded(one, width) for one in rows])))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (H, W, 3) as a png file."""
    buffer = io.BytesIO()
    need("PIL.Image", extra="images").fromarray(pixels).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


class Drawn(NamedTuple):
    """A panel: the words above and below it, and its pixels (H, W, 3)."""

    title: str
    under: str
    pixels: NDArray[np.uint8]


def row(one: Shown, spec: ModelSpec) -> NDArray[np.uint8]:
    """The panels of an input next to each other, with their words: (H, W, 3)."""
    titled = [_titled(*panel) for panel in panels(one, spec)]
    height = max(len(panel) for panel in titled)
    gap = np.full((height, _GAP_PX, 3), 255, np.uint8)
    parts = [part for panel in titled for part in (_filled(panel, height), gap)]
    return np.concatenate(parts[:-1], axis=1)


def panels(one: Shown, spec: ModelSpec) -> list[Drawn]:
    """The input, each map over it, and the difference of two maps."""
    ground = picture(one.feed, one.view, spec)
    # One scale for all maps of an input, so that two artifacts can be compared.
    scale = max(float(np.abs(found).max()) for found in one.maps.values()) or 1.0
    drawn = [Drawn(one.name[-_NAME:], one.label and f"explained: {one.label}", enlarged(ground))]
    drawn += [
        Drawn(name, "orange: for it, blue: against it", over(ground, found / scale)) for name, found in one.maps.items()
    ]
    if len(one.maps) > 1:
        first, second, *_ = one.maps.values()
        known = alike(first, second)
        under = "" if known is None else f"correlation {known:.3f}"
        drawn.append(Drawn("difference (second - first)", under, over(ground, (second - first) / scale)))
    return drawn


def picture(feed: Feed, view: View, spec: ModelSpec) -> NDArray[np.uint8]:
    """The input as a picture (H, W, 3): its pixels, the curve of a signal, or the values over its two axes in grey."""
    array, how = feed[view.name][0], spec.preprocessing
    if isinstance(how, ImageInput) and view.name == spec.inputs[0].name:
        pixels = np.asarray(array, np.uint8) if is_raw(spec) else pixels_of(array, how)
        return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    values = np.asarray(array, np.float64)
    others = tuple(axis - 1 for axis in range(1, values.ndim + 1) if axis not in view.axes)
    values = values.mean(axis=others) if others else values
    if values.ndim == 1:
        return _curve(values)
    low, high = values.min(), values.max()
    grey = np.round(255 * (values - low) / ((high - low) or 1)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _curve(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The curve of a signal, dark on white."""
    width, height = _SIDE_PX, _SIDE_PX // 2
    pixels = np.full((height, width, 3), 255, np.uint8)
    low, high = float(values.min()), float(values.max())
    levels = (height - 1) * (1 - (values - low) / ((high - low) or 1))
    edges = np.linspace(0, len(values), width + 1)
    for column in range(width):
        first = int(edges[column])
        part = levels[max(0, first - 1) : max(first + 1, int(np.ceil(edges[column + 1])))]
        pixels[int(part.min()) : int(part.max()) + 1, column] = _INK
    return pixels


def over(ground: NDArray[np.uint8], found: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The picture in grey under a map of -1 to 1: (H, W) of its own places, or (T,) along its columns; enlarged."""
    large = enlarged(ground)
    height, width = large.shape[:2]
    grid = found[None, :] if found.ndim == 1 else found
    rows, columns = np.arange(height) * grid.shape[0] // height, np.arange(width) * grid.shape[1] // width
    values = np.clip(grid[np.ix_(rows, columns)], -1, 1)[..., None]
    grey = large.mean(axis=2, keepdims=True)
    # Ink on a light ground and light on a dark one both stay visible in the middle of the range.
    faint = 96 + grey * (128 / 255)
    colour = np.where(values >= 0, _FOR, _AGAINST)
    share = _STRENGTH * np.abs(values)
    return np.asarray(np.round((1 - share) * faint + share * colour), np.uint8)


def enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with a longer side of 256 pixels; a flat one gets a height."""
    height, width = pixels.shape[:2]
    image_module = need("PIL.Image", extra="images")
    image, how = image_module.fromarray(np.ascontiguousarray(pixels)), image_module.Resampling
    scale = _SIDE_PX / max(height, width)
    size = max(_FLAT, round(width * scale)), max(_FLAT, round(height * scale))
    return np.asarray(image.resize(size, how.NEAREST if scale > 1 else how.BOX))


def _titled(title: str, under: str, panel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The panel with a title above it, wide enough for it, and a line below."""
    image_module, draw_module = need("PIL.Image", extra="images"), need("PIL.ImageDraw", extra="images")
    font = need("PIL.ImageFont", extra="images").load_default(_FONT_PX)
    height, width = panel.shape[:2]
    wide = max(width, int(max(font.getlength(title), font.getlength(under))) + 2)
    image = image_module.new("RGB", (wide, height + 2 * _TEXT_PX), "white")
    image.paste(image_module.fromarray(panel), (0, _TEXT_PX))
    canvas = draw_module.Draw(image)
    canvas.text((0, 2), title, fill="black", font=font)
    canvas.text((0, height + _TEXT_PX + 2), under, fill="black", font=font)
    return np.asarray(image)


def _padded(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    return np.pad(pixels, ((0, 0), (0, width - pixels.shape[1]), (0, 0)), constant_values=255)


def _filled(pixels: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    return np.pad(pixels, ((0, height - len(pixels)), (0, 0), (0, 0)), constant_values=255)
