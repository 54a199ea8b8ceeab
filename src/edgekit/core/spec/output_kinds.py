"""What the outputs of a model are where they are not scores of classes: a text, a curve, an image, objects, masks."""

from __future__ import annotations

from typing import Literal

import msgspec


class TextOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text"):
    """The output contains a score for each index of `vocabulary`; the text ends with the token `end`."""

    vocabulary: tuple[str, ...]
    end: int
    length: int


class SeriesOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="series"):
    """The output is a curve of the column `name`, one value every `step_s` seconds."""

    name: str
    step_s: float


class ImageOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="image"):
    """The output is an image, CHW, with values from `low` (black) to `high` (white)."""

    low: float = 0.0
    high: float = 1.0


Corners = Literal["xyxy", "yxyx", "cxcywh"]
Unit = Literal["pixels", "share"]


class DetectionOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="detection"):
    """The outputs contain candidates for objects: a box and scores for each, before overlapping ones are removed.

    `boxes` and `scores` name the outputs (N, A, 4) and (N, A, K); in one output of both, scores follow the boxes.
    `channels_first`: the axes are (N, 4, A) and (N, K, A). `corners` is the order of a box: two corners, or the centre
    and the size; `unit` is a pixel of the input, or a share of its size. `objectness`: the first score is that of any
    object, and multiplies those of the classes. `background`: the first class is none. `logits`: scores are the inputs
    of a sigmoid, with `background` of a softmax. A candidate is shown from a score of `threshold` on, if it overlaps no
    better one of its class by more than `overlap`, at most `most` in all.
    """

    boxes: str
    scores: str
    corners: Corners = "xyxy"
    unit: Unit = "pixels"
    channels_first: bool = False
    objectness: bool = False
    background: bool = False
    logits: bool = False
    threshold: float = 0.25
    overlap: float = 0.5
    most: int = 100


class SegmentationOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="segmentation"):
    """The output `scores` contains a score of each class for each place of the image, (N, K, H, W).

    `channels_last`: the axes are (N, H, W, K). The class with the highest score counts; with a single score, class 1
    where it is above `threshold`. An output that is smaller than the image is enlarged bilinearly.
    """

    scores: str
    channels_last: bool = False
    threshold: float = 0.0


Postprocessing = TextOutput | SeriesOutput | ImageOutput | DetectionOutput | SegmentationOutput
