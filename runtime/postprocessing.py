"""Turns outputs into what a person reads, as the ModelSpec describes: a sentence, a curve, an image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import Unreadable
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import ImageOutput, SeriesOutput, TextOutput, TokensOutput, TranscriptOutput
from edgekit.runtime.readers import PADDING

TOKENS = "tokens"
_IMAGE_RANK: Final = 4
_COLORS: Final = (1, 3)


def writes_text(spec: ModelSpec) -> bool:
    """True for a network that generates text one token at a time, with one inference per token."""
    how = spec.preprocessing
    return isinstance(spec.postprocessing, TextOutput) and isinstance(how, TextInput) and bool(how.written)


def returns_text(spec: ModelSpec) -> bool:
    """True for a network whose prediction is a text: generated, translated, or read from a sound or an image."""
    return isinstance(spec.postprocessing, TranscriptOutput | TokensOutput) or writes_text(spec)


def write_text(run: Callable[[Feed], Feed], feed: Feed, spec: ModelSpec) -> Feed:
    """The tokens that a network generates for `feed`, under the name `tokens`; see `greedy`."""
    how, out = spec.preprocessing, spec.postprocessing
    assert isinstance(how, TextInput)
    assert isinstance(out, TextOutput)
    given = {name: array for name, array in feed.items() if name != how.written}
    tokens = greedy(
        run,
        given,
        written=how.written,
        output=spec.outputs[0].name,
        begin=how.begin or 0,
        end=out.end,
        length=out.length,
    )
    return {TOKENS: tokens}


def greedy(
    run: Callable[[Feed], Feed], feed: Feed, *, written: str, output: str, begin: int, end: int, length: int
) -> NDArray[np.int64]:
    """Greedy decoding until all rows have ended: tokens of shape (N, at most `length`) without `begin`.

    Args:
        run: Returns scores (N, T, words) as `output` for `feed` plus the tokens so far, (N, T), as `written`.
    """
    rows = len(next(iter(feed.values())))
    tokens = np.full((rows, 1), begin, dtype=np.int64)
    ended = np.zeros(rows, dtype=bool)
    for place in range(length):
        scores = run({**feed, written: tokens})[output][:, place]
        chosen = np.where(ended, PADDING, scores.argmax(-1)).astype(np.int64)
        tokens = np.concatenate([tokens, chosen[:, None]], axis=1)
        ended |= chosen == end
        if ended.all():
            break
    return tokens[:, 1:]


def sentence(tokens: NDArray[Any], how: TextOutput) -> str:
    """One row of tokens as a sentence."""
    words = (how.vocabulary[token] for token in tokens if token not in (PADDING, how.end))
    return joined(words)


def _numbers(outputs: Feed, spec: ModelSpec) -> NDArray[Any]:
    """The first output, of numbers, with at least one axis and none of them empty.

    Raises:
        Unreadable: The spec describes the output as something that it is not.
    """
    found = outputs.get(spec.outputs[0].name) if spec.outputs else None
    if found is None or found.dtype.kind not in "fiub" or not found.ndim or not found.size:
        raise _described_wrongly(spec, found)
    return found


def _described_wrongly(spec: ModelSpec, found: NDArray[Any] | None) -> Unreadable:
    kind = type(spec.postprocessing).__name__.removesuffix("Output").lower()
    what = "has no outputs" if found is None else f"returns {found.dtype} of shape {list(found.shape)}"
    return Unreadable(f"The spec of '{spec.name}' describes its output as {kind}, but the model {what}.")


def joined(words: Iterable[str]) -> str:
    """Words as a sentence, without a space before closing punctuation."""
    return re.sub(r" ([.,!?;:)%])", r"\1", " ".join(words))


def curve(outputs: Feed, spec: ModelSpec) -> NDArray[np.float64] | None:
    """The curve of the first sample; None for models that do not return one."""
    if not isinstance(spec.postprocessing, SeriesOutput):
        return None
    return np.asarray(_numbers(outputs, spec)[0], dtype=np.float64).reshape(-1)


def pixels(outputs: Feed, spec: ModelSpec) -> NDArray[np.uint8] | None:
    """All images side by side, (H, W) or (H, W, 3), 0 to 255; None for models that do not generate images."""
    how = spec.postprocessing
    if not isinstance(how, ImageOutput):
        return None
    images = _numbers(outputs, spec)  # (N, C, H, W)
    if images.ndim != _IMAGE_RANK or images.shape[1] not in _COLORS:
        raise _described_wrongly(spec, images)
    scaled = np.clip((images.astype(np.float64) - how.low) / (how.high - how.low), 0.0, 1.0) * 255.0
    row = np.concatenate(list(np.round(scaled).astype(np.uint8)), axis=2)  # (C, H, N W)
    return row[0] if len(row) == 1 else row.transpose(1, 2, 0)
