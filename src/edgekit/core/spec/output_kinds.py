"""What outputs are where they are not scores of classes: text, a curve, an image, objects, masks, labels."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

BINARY: Final = "binary classification"
# A task, and the array of the labels of each sample, (S, K) of 0 and 1.
MULTI_LABEL: Final = "multi-label"


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


class LabelsOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="labels"):
    """The output `scores`, (N, K), contains a score of each label on its own: a sample may have several, or none.

    A sample has the labels whose scores are above `threshold`. `logits`: scores are the inputs of a sigmoid. With a
    single score there are two classes, and it is that of class 1.
    """

    scores: str
    logits: bool = True

    @property
    def threshold(self) -> float:
        """The score of a probability of one half."""
        return 0.0 if self.logits else 0.5


class TranscriptOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="transcript"):
    """The output `scores` contains a score of each symbol of the alphabet at each moment, (N, T, K), as CTC trains it.

    The alphabet are the labels of the spec, in the order of the scores. `blank` is the symbol for "no symbol".
    `channels_first`: the axes are (N, K, T).
    """

    scores: str
    blank: int = 0
    channels_first: bool = False


class TokensOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tokens"):
    """The output `tokens` contains the tokens of a text, (N, T), or a score of each token of the vocabulary, (N, T, K).

    The vocabulary are the labels of the spec, in the order of the numbers of the tokens.
    """

    tokens: str


class KeypointsOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="keypoints"):
    """The output `points` contains P points, such as the joints of a person, each in the same place.

    `coordinates`: (N, P, 2), or (N, P, 3) `with_score`, also flat; `y_first`: y comes before x; `unit` is a pixel of
    the input, or a share of its size. `heatmaps`: (N, P, H, W), with `channels_last` (N, H, W, P). `simcc`: a score of
    each place in x, (N, P, X), and in the output `rows` of each place in y, (N, P, Y).
    """

    points: str
    rows: str = ""
    form: Literal["coordinates", "heatmaps", "simcc"] = "coordinates"
    unit: Unit = "pixels"
    with_score: bool = False
    y_first: bool = False
    channels_last: bool = False


Postprocessing = (
    TextOutput
    | SeriesOutput
    | ImageOutput
    | DetectionOutput
    | SegmentationOutput
    | LabelsOutput
    | TranscriptOutput
    | TokensOutput
    | KeypointsOutput
)
