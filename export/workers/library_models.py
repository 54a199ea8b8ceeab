"""Models that a library knows by name: the call, the preprocessing and the labels. Runs in the worker."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from edgekit.core.errors import UserError, nearest
from edgekit.core.spec.input_kinds import Color, ImageInput, Interpolation
from edgekit.core.system.optional import need
from edgekit.export.factory_call import HUGGING_FACE
from edgekit.export.messages import LibraryModel
from edgekit.export.workers.hugging_face import download_of, hugging_face_model

TIMM: Final = "timm"
TORCHVISION: Final = "torchvision"
LIBRARIES: Final = (TIMM, TORCHVISION, HUGGING_FACE)


def library_model(library: str, name: str, *, may_download: bool = False) -> LibraryModel:
    """The model called `name` of a library in LIBRARIES, with trained weights.

    Raises:
        UserError: The library has no such model with weights; the nearest is suggested.
        EnvironmentFault: It is not on this machine, and cannot be downloaded.
    """
    if library == HUGGING_FACE:
        return hugging_face_model(name, may_download=may_download)
    return _timm_model(name) if library == TIMM else _torchvision_model(name)


def timm_image(config: Mapping[str, object]) -> ImageInput | None:
    """The preprocessing of a `pretrained_cfg` of timm; None if it crops in a way that ImageInput has not."""
    size, share = config["input_size"], config.get("crop_pct") or 1.0
    mode = config.get("crop_mode") or "center"
    if not isinstance(size, Sequence) or not isinstance(share, float | int) or mode != "center":
        return None
    channels, height, width = map(int, size)
    if height != width and share != 1:
        return None
    # As timm does: the shorter side is scaled, and the share is cut out.
    resize = (math.floor(height / share),)
    return _image((height, width), channels, resize, config)


def torchvision_image(transforms: object) -> ImageInput | None:
    """The preprocessing of `weights.transforms()` of torchvision; None for other tasks than classification."""
    if type(transforms).__name__ != "ImageClassification":
        return None
    found = vars(transforms)
    (crop,), resize = found["crop_size"], tuple(found["resize_size"])
    given = {"mean": found["mean"], "std": found["std"], "interpolation": found["interpolation"].value}
    return _image((crop, crop), 3, resize, given)


def _image(
    size: tuple[int, int], channels: int, resize: tuple[int, ...], config: Mapping[str, object]
) -> ImageInput | None:
    interpolation = next((one for one in get_args(Interpolation) if one == config.get("interpolation")), None)
    if interpolation is None or channels not in (1, 3):
        return None
    mean, std = (_numbers(config[key]) for key in ("mean", "std"))
    color: Color = "rgb" if channels == 3 else "gray"
    return ImageInput(*size, channels, mean, std, resize=resize, interpolation=interpolation, color=color)


def _library(module: str) -> Any:
    """A module of a library that belongs to the user: edgekit does not install it."""
    return importlib.import_module(module)


def _numbers(value: object) -> tuple[float, ...]:
    assert isinstance(value, Sequence)
    return tuple(map(float, value))


def _timm_model(name: str) -> LibraryModel:
    timm = _library(TIMM)
    config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is None:
        raise _unknown(TIMM, name, timm.list_models(pretrained=True))
    found = config.to_dict()
    labels: tuple[str, ...] = ()
    if found.get("num_classes") == _IMAGENET:
        info = _library("timm.data").ImageNetInfo()
        labels = tuple(info.index_to_description(index) for index in range(_IMAGENET))
    return LibraryModel(
        f"{TIMM}:create_model({name!r}, pretrained=True)",
        timm_image(found),
        labels,
        str(found.get("license") or ""),
        _from_hub(str(found.get("hf_hub_id") or "")),
    )


def _torchvision_model(name: str) -> LibraryModel:
    models = _library("torchvision.models")
    try:
        weights = models.get_model_weights(name).DEFAULT
    except (ValueError, AttributeError) as err:
        raise _unknown(TORCHVISION, name, models.list_models()) from err
    call = f"{TORCHVISION}.models:get_model({name!r}, weights='DEFAULT')"
    image, labels = torchvision_image(weights.transforms()), tuple(weights.meta.get("categories", ()))
    return LibraryModel(call, image, labels, download=_from_url(weights.url, weights.meta.get("_file_size")))


def _from_hub(repository: str) -> str:
    """What timm will download from the hub of Hugging Face; empty if it is in the cache."""
    return download_of(repository) if repository else ""


def _from_url(url: str, size_mb: object) -> str:
    """What torchvision will download; empty if it is in the cache of torch."""
    cache = Path(need("torch.hub", extra="export").get_dir()) / "checkpoints"
    size = f" ({size_mb:g} MB)" if isinstance(size_mb, float | int) else ""
    return "" if (cache / Path(url).name).is_file() else f"downloading {url}{size}"


def _unknown(library: str, name: str, known: Sequence[str]) -> UserError:
    return UserError(
        f"{library} has no model '{name}' with weights.{nearest(name, known)}",
        hint=f"edgekit build {library}:{next(iter(known), 'NAME')}",
    )


# Classes of the data set that most weights are trained on.
_IMAGENET: Final = 1000
