"""The document of `edgekit run`: the prediction of a model for each input."""

from __future__ import annotations

from typing import Any

import msgspec

from edgekit.core.system.documents import Document


class ClassScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One class and its probability, 0 to 1."""

    label: str
    probability: float


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values of the column `name`, one every `step_s` seconds."""

    name: str
    step_s: float
    values: tuple[float, ...]


class DetectedObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object that a detector found, with its score from 0 to 1; `box` is x1, y1, x2, y2 in pixels of the image
    file, or of the input of the model where that was given."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Keypoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point such as a joint, with the score that the network gives it.

    x and y are in pixels of the image that was given, or else of the input of the model; whole numbers are centres.
    """

    label: str
    x: float
    y: float
    score: float


class MaskShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class of a mask by its number, and the share of its places, 0 to 1."""

    number: int
    label: str
    share: float


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a decoder was in one run: tokens of the prompt, seconds until the first token, tokens per second.

    `decode_rate` is null if it wrote one token.
    """

    prompt_tokens: int
    tokens: int
    first_token_s: float
    prefill_rate: float
    decode_rate: float | None


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prediction for one input: class scores of a classifier, most probable first, the sentence, curve, image
    size, objects or classes of the mask of other models, and every output as nested lists. `rates` are those of text
    after a prompt. `is_text`: the prediction is the text, which may be empty.
    """

    input: str
    scores: tuple[ClassScore, ...]
    outputs: dict[str, list[Any]]
    text: str = ""
    curve: Curve | None = None
    image: tuple[int, ...] = ()
    objects: tuple[DetectedObject, ...] | None = None
    mask: tuple[MaskShare, ...] | None = None
    rates: Rates | None = None
    is_text: bool = False
    points: tuple[Keypoint, ...] | None = None


class Saliency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the prediction for one input comes from, by hiding parts of it in each of one or two artifacts.

    `label` is the class that was explained, that of the first artifact; empty for other tasks, where the change of all
    outputs counts. `peak` is the row and column, or the place in a signal, that mattered most to the first artifact.
    `correlation` is that of both maps, -1 to 1; null if there is one, or if one has the same value everywhere.
    """

    input: str
    artifacts: tuple[str, ...]
    label: str
    peak: tuple[int, ...]
    correlation: float | None = None


class RunReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The predictions for all inputs, what computed them, and the file that they were written to, if any.

    `notes` say what an input began with, if it is not what a user may expect, and that a tuning was made with another
    version of the backend. `saliency` is written to the file `explained` as a picture or as maps.
    """

    model: str
    artifact: str
    target: str
    provider: str
    answers: tuple[Answer, ...]
    written: str = ""
    notes: tuple[str, ...] = ()
    saliency: tuple[Saliency, ...] = ()
    explained: str = ""
    command: str = "run"
    schema_version: int = 1
