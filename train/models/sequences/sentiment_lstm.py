"""sentiment-lstm: embedding, LSTM and the mean over words, for the sentiment of a sentence of any length."""

from __future__ import annotations

import msgspec
import numpy as np
import torch
from torch import Generator, Tensor, nn

from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.readers import PADDING, UNKNOWN
from edgekit.train.data.dataset import Dataset
from edgekit.train.data.text import POLARITY_LENGTH, POLARITY_TERMS, POLARITY_WORDS, rt_polarity
from edgekit.train.model import Batch, ReferenceModel
from edgekit.train.options import TrainOptions


class Sentiment(nn.Module):
    """One LSTM; the states of real words are averaged, so that padding on the right changes nothing."""

    def __init__(self, width: int = 64, hidden: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(POLARITY_WORDS, width, padding_idx=PADDING)
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.drop_words, self.drop = nn.Dropout(0.5), nn.Dropout(0.5)
        self.head = nn.Linear(hidden, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (N, 2) of tokens (N, T), padded at the end."""
        real = (tokens != PADDING).to(self.head.weight.dtype).unsqueeze(2)  # (N, T, 1)
        states, _ = self.lstm(self.drop_words(self.embedding(tokens)))  # (N, T, hidden)
        mean = (states * real).sum(1) / real.sum(1).clamp(min=1.0)  # (N, hidden)
        return self.head(self.drop(mean))


def build() -> nn.Module:
    """The untrained network."""
    return Sentiment()


def augment(batch: Batch, generator: Generator) -> Batch:
    """A tenth of the words replaced by unknown; columns that are padding in every row are cut off."""
    tokens = batch.inputs["tokens"]
    tokens = tokens[:, : max(1, int((tokens != PADDING).any(0).sum()))]
    hidden = (torch.rand(tokens.shape, generator=generator) < 0.1) & (tokens != PADDING)
    return batch._replace(inputs={"tokens": tokens.masked_fill(hidden, UNKNOWN)})


def specialize(spec: ModelSpec, data: Dataset) -> ModelSpec:
    """The spec with the vocabulary of the training split."""
    return msgspec.structs.replace(spec, preprocessing=TextInput(data.facts["vocabulary"], POLARITY_LENGTH))


def generate(count: int) -> Samples:
    """Sentences of which the positive ones contain a certain word."""
    random = np.random.default_rng(0)
    tokens = random.integers(10, 60, (count, 12))
    labels = np.arange(count) % 2
    tokens[:, 3] = 4 + labels
    return Samples({"tokens": tokens}, labels.astype(np.int64))


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="sentiment-lstm",
        task="classification",
        summary="LSTM for the sentiment of a sentence",
        inputs=(TensorSpec("tokens", "int64", ("N", "T"), low=0, high=POLARITY_WORDS - 1, padding=PADDING),),
        outputs=(TensorSpec("logits", "float32", ("N", 2)),),
        sizes={"N": (1,), "T": (16, POLARITY_LENGTH)},
        labels=("negative", "positive"),
        metric=Metric("accuracy", floor=0.74),
    ),
    build=build,
    location="edgekit.train.models.sequences.sentiment_lstm:build",
    data=rt_polarity,
    dataset="rt_polarity",
    options=TrainOptions(
        epochs=15, batch_size=64, learning_rate=2e-3, weight_decay=0.1, patience=5, average=0.99, threads=1
    ),
    augment=augment,
    specialize=specialize,
    generate=generate,
    terms=f"terms of rt_polarity: {POLARITY_TERMS}",
)
