"""Makes the shipped weights from finished runs: `python -m edgekit.train.release_weights RUN…`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system import documents
from edgekit.core.system.files import read_bytes, sha256_file, write_atomic
from edgekit.core.system.optional import need
from edgekit.train.data.dataset import Dataset
from edgekit.train.evaluate import evaluate
from edgekit.train.registry import MODELS
from edgekit.train.score import Score
from edgekit.train.training_run import DataFacts, TrainingRun, read_run
from edgekit.train.weights import read_tensors

# 1: first version.
CARD_SCHEMA: Final = 1
MAX_SAMPLES: Final = 64
# Inputs of all samples together, before they are packed; four is the least that says anything.
MAX_SAMPLE_BYTES: Final = 4_200_000
MIN_SAMPLES: Final = 4
# Larger weights are stored in half precision, and the score on the card is theirs.
MAX_WHOLE_BYTES: Final = 1_900_000


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The facts about shipped weights: quality on the test split, data, and the command and time of the training.

    `samples` is the file of its samples; models with the same data share one.
    """

    model: str
    score: Score
    data: DataFacts
    command: str
    seed: int
    epochs: int
    wall_s: float
    cpu_s: float | None = None
    peak_memory_bytes: int
    parameters: int
    weights_sha256: str
    samples: str = ""
    tools: dict[str, str]
    created: str
    schema_version: int = CARD_SCHEMA


def ship(folder: Path, dataset: Dataset, weights: Path) -> Card:
    """Write weights, samples and card of a finished run into the folder `weights`.

    Raises:
        UserError: The terms of the data forbid it, or the run misses the floor.
    """
    run = read_run(folder)
    _refuse(run)
    stored, made = weights / f"{run.model}.safetensors", card(run)
    if (folder / run.weights).stat().st_size > MAX_WHOLE_BYTES and not MODELS.get(run.model).companion:
        made = _halved(run, folder / run.weights, stored, dataset, made)
    else:
        write_atomic(stored, read_bytes(folder / run.weights))
    if len(dataset.test):
        samples = _as_files_have_it(chosen(dataset.test), run.spec)
        made = msgspec.structs.replace(made, samples=_written(samples, run.model, weights))
    documents.write(weights / f"{run.model}.card.json", made)
    return made


def _halved(run: TrainingRun, source: Path, target: Path, dataset: Dataset, made: Card) -> Card:
    """Write the weights in half precision; the card with their score and digest."""
    torch, save = need("torch", extra="train"), need("safetensors.torch", extra="export").save
    tensors = {name: one.half() if one.dtype == torch.float32 else one for name, one in read_tensors(source).items()}
    write_atomic(target, save(tensors))
    score = evaluate(MODELS.get(run.model), target, dataset.test, spec=run.spec)
    return msgspec.structs.replace(made, score=score, weights_sha256=sha256_file(target))


def _as_files_have_it(samples: Samples, spec: ModelSpec) -> Samples:
    """The samples with pictures of 8 bits, as a file would hold them: they take a quarter of the room."""
    if not isinstance(spec.preprocessing, ImageInput):
        return samples
    inputs = {
        name: np.round(np.asarray(array, np.float32) * np.float32(255)) / np.float32(255)
        if (one.low, one.high) == (0.0, 1.0)
        else array
        for one, (name, array) in zip(spec.inputs, samples.inputs.items(), strict=True)
    }
    return dataclasses.replace(samples, inputs=inputs)


def _written(samples: Samples, model: str, weights: Path) -> str:
    """The file that contains `samples`: an existing one with the same content, or a new one for this model."""
    own = weights / f"{model}.samples.npz"
    samples.save(own)
    others = [path for path in sorted(weights.glob("*.samples.npz")) if path != own]
    same = next((path for path in others if path.read_bytes() == own.read_bytes()), None)
    if same is None:
        return own.name
    own.unlink()
    return same.name


def read_card(path: Path) -> Card:
    """The card of shipped weights."""
    return documents.read(path, Card, newest=CARD_SCHEMA)


def chosen(samples: Samples, count: int = MAX_SAMPLES) -> Samples:
    """At most `count` evenly spaced samples, sorted by label so that every class is included."""
    order = np.arange(len(samples)) if samples.labels is None else np.argsort(samples.labels, kind="stable")
    room = MAX_SAMPLE_BYTES * len(samples) // max(1, sum(array.nbytes for array in samples.inputs.values()))
    most = min(count, len(order), max(MIN_SAMPLES, room))
    return samples.take(order[np.linspace(0, len(order) - 1, most).astype(np.int64)])


def _refuse(run: TrainingRun) -> None:
    model = MODELS.get(run.model)
    if model.terms:
        raise UserError(f"Weights of '{run.model}' are not shipped: {model.terms}.")
    metric = model.spec.metric
    value = run.quality.value
    if metric is None or metric.floor is None or value is None:
        return
    reached = value >= metric.floor if metric.higher_is_better else value <= metric.floor
    if not reached:
        raise UserError(f"'{run.model}' reached {metric.name} {value:.4f}; its floor is {metric.floor}.")


def card(run: TrainingRun) -> Card:
    """The card of a finished run."""
    assert run.score is not None
    return Card(
        model=run.model,
        score=run.score,
        data=run.data,
        command=run.command,
        seed=run.seed,
        epochs=run.epochs,
        wall_s=run.wall_s,
        cpu_s=run.cpu_s,
        peak_memory_bytes=run.peak_memory_bytes,
        parameters=sum(parameter.numel() for parameter in MODELS.get(run.model).build().parameters()),
        weights_sha256=run.weights_sha256,
        tools=run.tools,
        created=run.created,
    )


def main(runs: list[str], data: Path | None = None) -> None:
    """Ship every run; data sets are found as in a training."""
    for run in runs:
        folder = Path(run)
        model = MODELS.get(read_run(folder).model)
        ship(folder, model.data(data), Path(__file__).parent / "weights")


if __name__ == "__main__":
    main(sys.argv[1:])
