"""A decoder writes the same tokens with its cache as without one, in the backend of each format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.export.shapes.writer import LENGTH, SPEC, WORDS, Writer, empty

from edgekit.core.samples import Feed
from edgekit.export.onnx.exporter import OnnxExporter
from edgekit.export.tflite.exporter import TfliteExporter
from edgekit.runtime.backend import BACKENDS
from edgekit.runtime.sequences.generation import generate

NEW, PROMPTS = 10, 50


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
