"""`edgekit run`: inference on files, with pre- and post-processing, in this process or on a device."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgekit.core.bundle import Artifact
from edgekit.core.config import Settings
from edgekit.core.errors import UserError
from edgekit.core.progress import Progress, Silent
from edgekit.core.samples import Feed, read_arrays, write_arrays
from edgekit.core.target import Target
from edgekit.flows.bundles import Opened, feed_at, open_session, opened, opens
from edgekit.flows.cells import job_for, open_device
from edgekit.flows.tuned import tuned
from edgekit.runtime.facts import read_facts
from edgekit.runtime.preprocessing import class_scores, read_input

SAMPLE = "sample:"
_SHORTEST_S: Final = 0.001


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
        target: A device with backend and options; on another than this machine all inputs go in one launch.
        artifact: Recipe name or alias; when empty the one that `edgekit tune` chose, else the first that opens.

    Raises:
        UserError: No input, or one that does not fit.
    """
    where = Target.parse(target)
    if not input:
        raise UserError("No input was given.", hint=f"edgekit run {path} --input sample:0")
    with opened(Path(path)) as found:
        chosen = [one for one in found.chosen((artifact,) if artifact else ()) if opens(where, one)]
        if not chosen:
            raise UserError(f"Target '{target}' opens no such artifact of '{path}'.")
        feeds = [_feed(str(text), found) for text in input]
        run_all = _run_here if where.device == "local" else _run_there
        used, provider, outputs = run_all(found, chosen, where, feeds, progress)
        answers = [_answer(str(text), one, found) for text, one in zip(input, outputs, strict=True)]
        return Prediction(
            model=found.spec.name, artifact=used.recipe, target=target, provider=provider, answers=tuple(answers)
        )


def _run_here(
    found: Opened, artifacts: Sequence[Artifact], where: Target, feeds: Sequence[Feed], progress: Progress
) -> tuple[Artifact, str, list[Feed]]:
    """The artifact, its provider and the outputs of every feed, in this process."""
    outputs = []
    artifact, where = tuned(found, artifacts, where, read_facts)
    with open_session(found, artifact, where) as session:
        for feed in feeds:
            outputs.append(session.run(feed))
            progress.step(len(outputs), len(feeds), artifact.recipe)
        return artifact, session.provider, outputs


def _run_there(
    found: Opened, artifacts: Sequence[Artifact], where: Target, feeds: Sequence[Feed], progress: Progress
) -> tuple[Artifact, str, list[Feed]]:
    """The artifact, its provider and the outputs of every feed, in one launch on the device."""
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, open_device(where) as device:
        given, answered = Path(folder) / "feeds.npz", Path(folder) / "outputs.npz"
        write_arrays(given, {f"{row}:{name}": array for row, feed in enumerate(feeds) for name, array in feed.items()})
        facts = device.facts()  # a device that is not there says so before anything is sent
        artifact, where = tuned(found, artifacts, where, lambda: facts)
        job = job_for(found, artifact, where, given, str(answered), _SHORTEST_S)
        result = device.measure(msgspec.structs.replace(job, min_values=1, max_values=1))
        outputs: list[Feed] = [{} for _ in feeds]
        for key, array in read_arrays(answered, UserError).items():
            row, _, name = key.partition(":")
            outputs[int(row)][name] = array
        progress.step(len(feeds), len(feeds), artifact.recipe)
        return artifact, result.provider, outputs


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
