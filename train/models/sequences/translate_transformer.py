"""translate-transformer: English to German with a Transformer; greedy decoding runs outside the network."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.optional import need
from edgekit.runtime.postprocessing import greedy, sentence
from edgekit.runtime.readers import PADDING
from edgekit.train.data.dataset import Dataset
from edgekit.train.data.text import (
    BEGIN,
    END,
    PAIRS_LENGTH,
    PAIRS_TERMS,
    REFERENCE,
    SOURCE_WORDS,
    TARGET_WORDS,
    decoded,
    multi30k,
)
from edgekit.train.metrics import bootstrap
from edgekit.train.model import Answer, Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions
from edgekit.train.score import Score, score_of

_HINT = "edgekit train translate-transformer --out runs/translate-transformer --data DIR"
WIDTH, HEADS, HIDDEN, LAYERS, LONGEST = 128, 4, 384, 2, 64


class Attention(nn.Module):
    """Multi-head attention in plain matrix products, which every converter supports."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, memory: Tensor, hidden: Tensor) -> Tensor:
        """Values of `memory` (N, S, D) for each place of x (N, T, D); `hidden` (N, 1, 1 or T, S) is added to scores."""
        query, key, value = self._heads(self.query(x)), self._heads(self.key(memory)), self._heads(self.value(memory))
        scores = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS) + hidden  # (N, H, T, S)
        mixed = self.drop(torch.softmax(scores, -1)) @ value  # (N, H, T, D / H)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (HEADS, WIDTH // HEADS)).transpose(1, 2)  # (N, H, T, D / H)


class Layer(nn.Module):
    """Attention to itself, in the decoder attention to the encoder, then two dense layers; each around a residual."""

    def __init__(self, *, decodes: bool) -> None:
        super().__init__()
        self.own, self.own_norm = Attention(), nn.LayerNorm(WIDTH)
        self.other: nn.Module | None = Attention() if decodes else None
        self.other_norm: nn.Module | None = nn.LayerNorm(WIDTH) if decodes else None
        self.dense = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Dropout(0.1), nn.Linear(HIDDEN, WIDTH)
        )
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, hidden: Tensor, memory: Tensor | None = None, padded: Tensor | None = None) -> Tensor:
        """x (N, T, D) after attention and the dense layers."""
        normed = self.own_norm(x)
        x = x + self.drop(self.own(normed, normed, hidden))
        if self.other is not None and self.other_norm is not None:
            x = x + self.drop(self.other(self.other_norm(x), memory, padded))
        return x + self.drop(self.dense(x))


class Translator(nn.Module):
    """Two layers on each side; the output matrix is the embedding of the target words."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(SOURCE_WORDS, WIDTH), nn.Embedding(TARGET_WORDS, WIDTH)
        self.places = nn.Embedding(LONGEST, WIDTH)
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.ModuleList(Layer(decodes=False) for _ in range(LAYERS))
        self.decoder = nn.ModuleList(Layer(decodes=True) for _ in range(LAYERS))
        self.encoded, self.decoded = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        for table in (self.source, self.target, self.places):
            nn.init.normal_(table.weight, std=WIDTH**-0.5)

    def forward(self, source: Tensor, written: Tensor) -> Tensor:
        """Logits (N, T, words) of the word after each of `written` (N, T), for sentences `source` (N, S)."""
        padded = (source == PADDING)[:, None, None].to(self.places.weight.dtype) * -1e4  # (N, 1, 1, S)
        memory = self._embedded(self.source, source)
        for layer in self.encoder:
            memory = layer(memory, padded)
        memory = self.encoded(memory)  # (N, S, D)
        place = torch.arange(written.shape[1], device=written.device)
        later = (place[None] > place[:, None])[None, None].to(memory.dtype) * -1e4  # (1, 1, T, T)
        x = self._embedded(self.target, written)
        for layer in self.decoder:
            x = layer(x, later, memory, padded)
        return self.decoded(x) @ self.target.weight.t()  # (N, T, words)

    def _embedded(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        place = torch.arange(tokens.shape[1], device=tokens.device)
        return self.drop(table(tokens) * math.sqrt(WIDTH) + self.places(place))


def build() -> nn.Module:
    """The untrained network."""
    return Translator()


def trimmed(batch: Batch, generator: Generator) -> Batch:
    """The batch without columns that are padding in every row."""
    del generator
    cut = {name: rows[:, : _longest(rows)] for name, rows in (batch.inputs | batch.targets).items()}
    return Batch({name: cut[name] for name in batch.inputs}, None, {name: cut[name] for name in batch.targets})


def _longest(rows: Tensor) -> int:
    return int((rows != PADDING).any(0).sum())


def next_words(learner: Trainee, batch: Batch) -> Tensor:
    """Cross-entropy of the next word, over all places that are not padding."""
    logits = learner.model(*batch.inputs.values())
    wanted = batch.targets["logits"]
    smoothing = learner.options.label_smoothing
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=PADDING, label_smoothing=smoothing)


def translate(answer: Answer, source: NDArray[np.int64], *, length: int = PAIRS_LENGTH) -> NDArray[np.int64]:
    """Greedy decoding until `END`: tokens (S, length) without `BEGIN`."""
    return greedy(answer, {"source": source}, written="written", output="logits", begin=BEGIN, end=END, length=length)


def bleu(answer: Answer, samples: Samples, spec: ModelSpec) -> Score:
    """BLEU of greedy translations against the original references, in lower case (sacrebleu)."""
    if not isinstance(spec.postprocessing, TextOutput):
        raise UserError("The vocabulary of 'translate-transformer' comes from its training.", hint=_HINT)
    found: list[str] = []
    source = np.asarray(samples.inputs["source"], dtype=np.int64)
    for start in range(0, len(source), 128):
        rows = source[start : start + 128]
        tokens = translate(answer, rows[:, : int((rows != PADDING).any(0).sum())])
        found += [sentence(row, spec.postprocessing) for row in tokens]
    return _bleu(found, [decoded(row) for row in samples.targets[REFERENCE]])


def _bleu(found: list[str], wanted: list[str]) -> Score:
    metric: Any = need("sacrebleu.metrics", extra="train").BLEU(lowercase=True, effective_order=True)
    scores = [metric.sentence_score(one, [other]) for one, other in zip(found, wanted, strict=True)]
    counts = np.array([(*score.counts, *score.totals, score.sys_len, score.ref_len) for score in scores])

    def corpus(rows: NDArray[np.int64]) -> float:
        total = counts[rows].sum(axis=0).tolist()
        return float(metric.compute_bleu(total[:4], total[4:8], total[8], total[9], smooth_method="exp").score)

    return score_of("bleu", {"bleu": bootstrap(len(found), corpus, draws=500)})


def specialize(spec: ModelSpec, data: Dataset) -> ModelSpec:
    """The spec with the vocabularies of the training split."""
    entry = TextInput(data.facts["source"], PAIRS_LENGTH, end=END, written="written", begin=BEGIN)
    return msgspec.structs.replace(
        spec, preprocessing=entry, postprocessing=TextOutput(data.facts["target"], END, PAIRS_LENGTH)
    )


def generate(count: int) -> Samples:
    """Sentences of random length; their translation is the same tokens in reverse."""
    random = np.random.default_rng(0)
    source, written, wanted = (np.zeros((count, 12), dtype=np.int64) for _ in range(3))
    for row in range(count):
        tokens = random.integers(4, 40, random.integers(3, 11))
        source[row, : len(tokens) + 1] = [*tokens, END]
        wanted[row, : len(tokens) + 1] = [*tokens[::-1], END]
        written[row, : len(tokens) + 1] = [BEGIN, *tokens[::-1]]
    return Samples({"source": source, "written": written}, None, {"logits": wanted})


def lengths(samples: Samples) -> NDArray[np.int64]:
    """Number of words of source and target together."""
    return np.asarray(sum((rows != PADDING).sum(axis=1) for rows in samples.inputs.values()), dtype=np.int64)


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="translate-transformer",
        task="translation",
        summary="encoder-decoder Transformer, English to German",
        inputs=(
            TensorSpec("source", "int64", ("N", "S"), low=0, high=SOURCE_WORDS - 1, padding=PADDING),
            TensorSpec("written", "int64", ("N", "T"), low=0, high=TARGET_WORDS - 1, padding=PADDING),
        ),
        outputs=(TensorSpec("logits", "float32", ("N", "T", TARGET_WORDS)),),
        sizes={"N": (1,), "S": (16, PAIRS_LENGTH), "T": (16, PAIRS_LENGTH)},
        metric=Metric("bleu", floor=20.0),
    ),
    build=build,
    location="edgekit.train.models.sequences.translate_transformer:build",
    data=multi30k,
    dataset="multi30k",
    options=TrainOptions(
        epochs=12,
        batch_size=128,
        optimizer="adam",
        learning_rate=1.5e-3,
        label_smoothing=0.1,
        schedule="one-cycle",
        clip=1.0,
        average=0.999,
        precision="bf16-mixed",
        threads=1,
    ),
    augment=trimmed,
    losses=(next_words,),
    score=bleu,
    lengths=lengths,
    specialize=specialize,
    generate=generate,
    terms=f"terms of multi30k: {PAIRS_TERMS}",
)
