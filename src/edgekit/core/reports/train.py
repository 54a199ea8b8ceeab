"""The documents of `edgekit train`: the result of a training, and that of a search for its options."""

from __future__ import annotations

import msgspec

from edgekit.core.reports.report import Estimate
from edgekit.core.system.documents import Document


class TrainReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The result of a training: the run directory, the quality on the test split, and the time in seconds."""

    model: str
    run: str
    metric: str
    quality: Estimate
    floor: float | None
    epochs: int
    wall_s: float
    warnings: tuple[str, ...] = ()
    command: str = "train"
    schema_version: int = 1


class SearchReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The best of `trials` finished trainings by validation score, and the command that trains with it."""

    model: str
    folder: str
    metric: str
    value: float
    trials: int
    options: dict[str, str]
    train_command: str
    command: str = "train"
    schema_version: int = 1
