"""`edgekit run`: inference on files, with pre- and post-processing, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekit.core.config import Settings
from edgekit.core.errors import UserError
from edgekit.core.progress import Progress, Silent
from edgekit.core.samples import Feed
from edgekit.core.target import Target
from edgekit.flows.bundles import Opened, feed_at, open_session, opened, opens
from edgekit.runtime.preprocessing import class_scores, read_input

SAMPLE = "sample:"


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One class and its probability, 0 to 1."""

    label: str
    probability: float


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model says of one input: class scores for a classifier, and every output as nested lists."""

    input: str
    scores: tuple[Score, ...]
    outputs: dict[str, list[Any]]


class Prediction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The answers for all inputs, and what gave them."""

    model: str
    artifact: str
    target: str
    provider: str
    answers: tuple[Answer, ...]
    command: str = "run"
    schema_version: int = 1


def run(
    path: str | Path,
    *,
    input: Sequence[str | Path],
    target: str = "local",
    artifact: str = "",
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Prediction:
    """Answers of one artifact for each input.

    Args:
        path: A bundle, `.onnx` or `.tflite`.
        input: Image, `.npy` or `.npz` files; `sample:3` is the fourth sample that travels in the bundle.
        target: `local` with backend and options; other devices are measured, not run.
        artifact: Recipe name or alias; the first that the target's backend opens when empty.

    Raises:
        UserError: No input, or one that does not fit.
    """
    where = Target.parse(target)
    if where.device != "local":
        raise UserError(
            f"'run' works on this machine; '{where.device}' is another.",
            hint=f"edgekit profile {path} --target {target}",
        )
    if not input:
        raise UserError("No input was given.", hint=f"edgekit run {path} --input sample:0")
    with opened(Path(path)) as found:
        chosen = [one for one in found.chosen((artifact,) if artifact else ()) if opens(where, one)]
        if not chosen:
            raise UserError(f"Target '{target}' opens no such artifact of '{path}'.")
        with open_session(found, chosen[0], where) as session:
            answers = []
            for done, text in enumerate(input, start=1):
                answers.append(_answer(str(text), session.run(_feed(str(text), found)), found))
                progress.step(done, len(input), str(text))
            return Prediction(
                model=found.spec.name,
                artifact=chosen[0].recipe,
                target=target,
                provider=session.provider,
                answers=tuple(answers),
            )


def _feed(text: str, found: Opened) -> Feed:
    if not text.startswith(SAMPLE):
        return read_input(Path(text), found.spec)
    row = text.removeprefix(SAMPLE)
    if not row.isdigit() or int(row) >= len(found.samples):
        raise UserError(f"'{text}': expected {SAMPLE}0 to {SAMPLE}{len(found.samples) - 1}.")
    return feed_at(found.spec, found.samples, int(row))


def _answer(text: str, outputs: Feed, found: Opened) -> Answer:
    scores = tuple(Score(label, probability) for label, probability in class_scores(outputs, found.spec))
    return Answer(text, scores, {name: np.asarray(array).tolist() for name, array in outputs.items()})
