"""caption-gpt: a small GPT that continues sentences; what it has read is in a cache of fixed length, its states."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.readers import PADDING
from edgekit.runtime.tasks.perplexity import of_losses, word_losses
from edgekit.train.data.dataset import Dataset
from edgekit.train.data.text import BEGIN, CAPTION_LENGTH, CAPTION_WORDS, END, PAIRS_TERMS, captions
from edgekit.train.metrics import bootstrap
from edgekit.train.model import Answer, Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions
from edgekit.train.score import Score, score_of

WIDTH, HEADS, HIDDEN, LAYERS = 96, 4, 256, 2
PREFILL = 16
"""Tokens of a prompt that are read at once."""
CACHE = (LAYERS, CAPTION_LENGTH, WIDTH)


class DecoderBlock(nn.Module):
    """Attention to this and earlier places, then two dense layers; each around a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.dense = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Dropout(0.1), nn.Linear(HIDDEN, WIDTH))
        self.drop = nn.Dropout(0.1)

    def forward(
        self, x: Tensor, places: Tensor, later: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x (N, T, D) after the block, and its cache with these places.

        Args:
            places: One-hot, (N, T, S): where each token is.
            later: Added to the scores (N, 1, T, S): very negative at places after that of the token.
            keys: Those of earlier tokens, (N, S, D), zeros elsewhere; `values` alike.
        """
        normed = self.before(x)
        keys = keys + places.transpose(1, 2) @ self.key(normed)
        values = values + places.transpose(1, 2) @ self.value(normed)
        query, key, value = (self._heads(one) for one in (self.query(normed), keys, values))
        scores = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS) + later  # (N, H, T, S)
        mixed = (torch.softmax(scores, -1) @ value).transpose(1, 2).flatten(2)  # (N, T, D)
        x = x + self.drop(self.out(mixed))
        return x + self.drop(self.dense(self.after(x))), keys, values

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (HEADS, WIDTH // HEADS)).transpose(1, 2)  # (N, H, S, D / H)


class Gpt(nn.Module):
    """Two blocks; the output matrix is the embedding of the words."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(CAPTION_WORDS, WIDTH), nn.Embedding(CAPTION_LENGTH, WIDTH)
        self.drop = nn.Dropout(0.1)
        self.blocks = nn.ModuleList(DecoderBlock() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=WIDTH**-0.5)

    def forward(self, tokens: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, T, words) of the token after each of `tokens` (N, T), and the states after them.

        The states are the place of the next token (N, 1), and keys and values (N, layers, S, D); zeros without them.
        """
        rows = len(tokens)
        place, keys, values = states or (
            tokens.new_zeros(rows, 1),
            *(self.words.weight.new_zeros(rows, *CACHE) for _ in range(2)),
        )
        own = place + torch.arange(tokens.shape[1], device=tokens.device)[None]  # (N, T)
        every = torch.arange(CAPTION_LENGTH, device=tokens.device)[None, None]
        places = (own[:, :, None] == every).to(keys.dtype)  # (N, T, S)
        later = (own[:, :, None] < every).to(keys.dtype)[:, None] * -1e4
        x = self.drop(self.words(tokens) * math.sqrt(WIDTH) + places @ self.places.weight)
        cached = []
        for layer, block in enumerate(self.blocks):
            x, key, value = block(x, places, later, keys[:, layer], values[:, layer])
            cached.append((key, value))
        logits = self.norm(x) @ self.words.weight.t()
        return logits, own[:, -1:] + 1, *(torch.stack(one, 1) for one in zip(*cached, strict=True))


def build() -> nn.Module:
    """The untrained network."""
    return Gpt()


def trimmed(batch: Batch, generator: Generator) -> Batch:
    """The batch without columns that are padding in every row."""
    del generator
    longest = int((batch.targets["logits"] != PADDING).any(0).sum())
    cut = {name: rows[:, :longest] for name, rows in batch.inputs.items()}
    return Batch(cut, None, {name: rows[:, :longest] for name, rows in batch.targets.items()})


def next_word(learner: Trainee, batch: Batch) -> Tensor:
    """Cross-entropy of the next word, over all places that are not padding."""
    logits, *_ = learner.model(*batch.inputs.values())
    return F.cross_entropy(logits.flatten(0, 1), batch.targets["logits"].flatten(), ignore_index=PADDING)


def perplexity(answer: Answer, samples: Samples, spec: ModelSpec) -> Score:
    """The exponential of the mean cross-entropy of a word."""
    del spec
    parts = [samples.take(slice(start, start + PREFILL)) for start in range(0, len(samples), PREFILL)]
    losses = [word_losses(answer(part.inputs)["logits"], part.targets["logits"]) for part in parts]
    return score_of("perplexity", {"perplexity": bootstrap(len(samples), of_losses(np.concatenate(losses)))})


def specialize(spec: ModelSpec, data: Dataset) -> ModelSpec:
    """The spec with the vocabulary of the training split."""
    known = data.facts["vocabulary"]
    entry = TextInput(known, CAPTION_LENGTH, begin=BEGIN)
    return msgspec.structs.replace(spec, preprocessing=entry, postprocessing=TextOutput(known, END, CAPTION_LENGTH))


def generate(count: int) -> Samples:
    """Sentences that count upwards."""
    random = np.random.default_rng(0)
    first = random.integers(4, 40, (count, 1))
    tokens = first + np.arange(CAPTION_LENGTH)[None]
    return Samples({"tokens": tokens.astype(np.int64)}, None, {"logits": (tokens + 1).astype(np.int64)})


def lengths(samples: Samples) -> NDArray[np.int64]:
    """Number of words of each sentence."""
    return np.asarray((samples.inputs["tokens"] != PADDING).sum(axis=1), np.int64)


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="caption-gpt",
        task="generation",
        summary="small GPT that continues a sentence, with a cache",
        inputs=(
            TensorSpec("tokens", "int64", ("N", "T"), low=0, high=CAPTION_WORDS - 1),
            TensorSpec("place", "int64", ("N", 1), low=0, high=CAPTION_LENGTH - 1),
            TensorSpec("keys", "float32", ("N", *CACHE)),
            TensorSpec("values", "float32", ("N", *CACHE)),
        ),
        outputs=(
            TensorSpec("logits", "float32", ("N", "T", CAPTION_WORDS)),
            TensorSpec("place_next", "int64", ("N", 1)),
            TensorSpec("keys_next", "float32", ("N", *CACHE)),
            TensorSpec("values_next", "float32", ("N", *CACHE)),
        ),
        sizes={"T": (1, PREFILL, CAPTION_LENGTH)},
        metric=Metric("perplexity", floor=40.0),
        states={"place_next": "place", "keys_next": "keys", "values_next": "values"},
    ),
    build=build,
    location="edgekit.train.models.sequences.caption_gpt:build",
    data=captions,
    dataset="multi30k",
    options=TrainOptions(
        epochs=3,
        batch_size=128,
        optimizer="adam",
        learning_rate=3e-3,
        schedule="one-cycle",
        clip=1.0,
        average=0.999,
        precision="bf16-mixed",
        threads=1,
    ),
    augment=trimmed,
    losses=(next_word,),
    score=perplexity,
    lengths=lengths,
    specialize=specialize,
    generate=generate,
    terms=f"terms of multi30k: {PAIRS_TERMS}",
)
