"""The preprocessing of a library's own configuration, as timm and torchvision publish it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import pytest

from edgekit.core.spec.input_kinds import ImageInput
from edgekit.export.workers.library_models import _from_url, timm_image, torchvision_image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The configuration of mobilenetv4_conv_small.e2400_r224_in1k in timm 1.0.31.
TIMM = {
    "input_size": (3, 224, 224),
    "test_input_size": (3, 256, 256),
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "mean": MEAN,
    "std": STD,
}


class InterpolationMode(Enum):
    BILINEAR = "bilinear"


class ImageClassification:
    """The attributes of `MobileNet_V3_Small_Weights.DEFAULT.transforms()` in torchvision 0.28."""

    def __init__(self) -> None:
        self.crop_size, self.resize_size = [224], [256]
        self.mean, self.std = list(MEAN), list(STD)
        self.interpolation = InterpolationMode.BILINEAR


class SemanticSegmentation(ImageClassification):
    """Another task, which is not cut to one size."""


def test_timm_scales_the_shorter_side_and_cuts_the_share() -> None:
    assert timm_image(TIMM) == ImageInput(224, 224, 3, MEAN, STD, resize=(256,), interpolation="bicubic")


def test_timm_without_a_crop_scales_to_the_size() -> None:
    found = timm_image({**TIMM, "crop_pct": 1.0, "input_size": (1, 32, 32), "mean": (0.5,), "std": (0.5,)})

    assert found == ImageInput(32, 32, 1, (0.5,), (0.5,), resize=(32,), interpolation="bicubic", color="gray")


@pytest.mark.parametrize("change", [{"crop_mode": "squash"}, {"interpolation": "random"}, {"input_size": (3, 9, 8)}])
def test_what_cannot_be_done_is_left_out(change: dict[str, object]) -> None:
    assert timm_image({**TIMM, **change}) is None


def test_torchvision_scales_and_cuts() -> None:
    assert torchvision_image(ImageClassification()) == ImageInput(224, 224, 3, MEAN, STD, resize=(256,))
    assert torchvision_image(SemanticSegmentation()) is None


def test_a_download_is_announced_unless_the_cache_has_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = "https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth"

    before = _from_url(url, 9.829)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "mobilenet_v3_small-047dcff4.pth").touch()

    assert before == f"downloading {url} (9.829 MB)"
    assert _from_url(url, 9.829) == ""
