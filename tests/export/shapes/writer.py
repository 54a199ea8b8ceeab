"""A small decoder with a cache of fixed length, its spec, and its states before a text."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec

LENGTH, WIDTH, PREFILL = 24, 16, 4
WORDS = (
    "<pad>",
    "<unknown>",
    "<begin>",
    "<end>",
    *(f"word{chr(97 + one // 26)}{chr(97 + one % 26)}" for one in range(60)),
)
CACHE = TensorSpec("keys", "float32", ("N", LENGTH, WIDTH)), TensorSpec("values", "float32", ("N", LENGTH, WIDTH))
CACHE_NEXT = tuple(TensorSpec(f"{one.name}_next", one.dtype, one.shape) for one in CACHE)
SPEC = ModelSpec(
    "writer",
    "generation",
    (
        TensorSpec("tokens", "int64", ("N", "T"), low=0, high=len(WORDS) - 1),
        TensorSpec("place", "int64", ("N", 1)),
        *CACHE,
    ),
    (
        TensorSpec("logits", "float32", ("N", "T", len(WORDS))),
        TensorSpec("place_next", "int64", ("N", 1)),
        *CACHE_NEXT,
    ),
    sizes={"N": (1,), "T": (1, PREFILL, LENGTH)},
    preprocessing=TextInput(WORDS, LENGTH, begin=2),
    postprocessing=TextOutput(WORDS, 3, LENGTH),
    states={"place_next": "place", "keys_next": "keys", "values_next": "values"},
)


class Writer(nn.Module):
    """One layer of attention to this and earlier places, with a cache of fixed length."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(len(WORDS), WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.score = nn.Linear(WIDTH, len(WORDS))

    def forward(self, tokens: Tensor, place: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        own = place + torch.arange(tokens.shape[1])[None]  # (N, T)
        every = torch.arange(LENGTH)[None, None]
        here = (own[:, :, None] == every).to(keys.dtype)  # (N, T, S)
        later = (own[:, :, None] < every).to(keys.dtype) * -1e4
        x = self.words(tokens) + here @ self.places.weight
        keys, values = (old + here.transpose(1, 2) @ new(x) for old, new in ((keys, self.key), (values, self.value)))
        shares = torch.softmax(self.query(x) @ keys.transpose(1, 2) / math.sqrt(WIDTH) + later, -1)
        return self.score(torch.tanh(x + 3 * (shares @ values))), own[:, -1:] + 1, keys, values


def empty(rows: int = 1) -> Feed:
    """The states before the first token."""
    return {one.name: np.zeros(one.concrete({"N": rows}), one.dtype) for one in SPEC.inputs[1:]}
