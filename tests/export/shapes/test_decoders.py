"""A decoder writes the same tokens with its cache as without one, in the backend of each format."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.onnx.exporter import OnnxExporter
from edgekit.export.tflite.exporter import TfliteExporter
from edgekit.runtime.backend import BACKENDS
from edgekit.runtime.sequences.generation import generate

LENGTH, WIDTH, PREFILL, NEW, PROMPTS = 24, 16, 4, 10, 50
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


def without_cache(run: Callable[[Feed], Feed], prompt: tuple[int, ...]) -> tuple[int, ...]:
    """The most probable tokens after `prompt`: the whole text so far is read again for each."""
    text = list(prompt)
    while len(text) < len(prompt) + NEW:
        # What is behind the text does not change what is before it.
        padded = np.array([text + [0] * (LENGTH - len(text))], np.int64)
        chosen = int(run({"tokens": padded, **empty()})["logits"][0, len(text) - 1].argmax())
        if chosen == SPEC.postprocessing.end:  # type: ignore[union-attr]  # it is a TextOutput
            break
        text.append(chosen)
    return tuple(text[len(prompt) :])


# torch and its converters warn of themselves.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("exporter", "suffix", "backend"), [(OnnxExporter, "onnx", "onnxruntime"), (TfliteExporter, "tflite", "litert")]
)
def test_fifty_prompts_get_the_tokens_they_get_without_a_cache(
    exporter: type, suffix: str, backend: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    random, made = np.random.default_rng(0), tmp_path / f"writer.{suffix}"
    feed = {"tokens": random.integers(4, len(WORDS), (2, LENGTH)), **empty(2)}
    exporter().export(Writer().eval(), SPEC, feed, made)
    prompts = [" ".join(random.choice(WORDS[4:], random.integers(1, 12))) for _ in range(PROMPTS)]

    with BACKENDS.get(backend)().open(made, {}, SPEC) as session:
        found = [generate(session.run, SPEC, prompt, NEW) for prompt in prompts]
        again = [without_cache(session.run, one.prompt) for one in found]
        alone = [without_cache(session.run, one.prompt[-1:]) for one in found]

    assert [one.tokens for one in found] == again
    # The cache matters: without what came before the last token, nearly every text goes on otherwise.
    assert sum(one != other for one, other in zip(again, alone, strict=True)) > 0.8 * PROMPTS
    assert all(len(set(one)) > 1 for one in again if len(one) > 1)
