"""The document of `edgekit run`: what a model answers to each input."""

from __future__ import annotations

from typing import Any

import msgspec


class ClassScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One class and its probability, 0 to 1."""

    label: str
    probability: float


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values of the column `name`, `step_s` seconds from one to the next."""

    name: str
    step_s: float
    values: tuple[float, ...]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model says of one input: class scores, likeliest first, for a classifier, the sentence or the curve for
    a model that gives one, height and width of an image, and every output as nested lists.
    """

    input: str
    scores: tuple[ClassScore, ...]
    outputs: dict[str, list[Any]]
    text: str = ""
    curve: Curve | None = None
    image: tuple[int, ...] = ()


class RunReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The answers for all inputs, what gave them, and the file they were written to as well."""

    model: str
    artifact: str
    target: str
    provider: str
    answers: tuple[Answer, ...]
    written: str = ""
    command: str = "run"
    schema_version: int = 1
