"""Generation: a decoder with a cache continues a prompt, one token at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TextOutput
from edgekit.runtime.postprocessing import sentence
from edgekit.runtime.readers import tokens, words
from edgekit.runtime.sequences.stream import Run, Stream

MAX_TOKENS: Final = 32
_ONE_S: Final = 1e9


@dataclass(frozen=True)
class Generated:
    """What a decoder wrote after a prompt, and how long it took, in seconds.

    `prompt` are the tokens that were read, with the one that begins a text; `tokens` those that were written, without
    the one that ends it. `first_token_s` is the time until the first of them, and `decode_s` that of all after it.
    """

    text: str
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    first_token_s: float
    decode_s: float
    decoded: int

    @property
    def prefill_rate(self) -> float:
        """Tokens of the prompt that are read per second."""
        return len(self.prompt) / self.first_token_s

    @property
    def decode_rate(self) -> float | None:
        """Tokens that are written per second, after the first; None if there is none."""
        return self.decoded / self.decode_s if self.decoded else None


def generate(
    run: Run,
    spec: ModelSpec,
    prompt: str,
    max_tokens: int = MAX_TOKENS,
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Generated:
    """The most probable continuation of `prompt`, token by token, until the text ends or has `max_tokens` more.

    Args:
        run: Outputs for a feed.
        clock: Nanoseconds.

    Raises:
        UserError: The model does not generate text with a cache, a number below 1, or a prompt that leaves no room.
    """
    how, out = spec.preprocessing, spec.postprocessing
    if not (spec.is_decoder and isinstance(how, TextInput) and isinstance(out, TextOutput)):
        raise UserError(
            f"'{spec.name}' is not a decoder with a cache, so it cannot continue a prompt.",
            hint="docs/generation.md says what such a model needs.",
        )
    given = _prompt(prompt, how)
    _refuse_too_long(given, max_tokens, how)
    stream, start, written = Stream(run, spec), clock(), list[int]()
    chosen, first = _next(stream, given, spec), clock()
    ran = 0
    while chosen != out.end:
        written.append(chosen)
        if len(written) == max_tokens:
            break
        chosen = _next(stream, (chosen,), spec)
        ran += 1
    text = sentence(np.array(written, np.int64), out)
    return Generated(text, given, tuple(written), (first - start) / _ONE_S, (clock() - first) / _ONE_S, ran)


def _prompt(text: str, how: TextInput) -> tuple[int, ...]:
    """The tokens of a prompt, after the one that begins a text."""
    found = words(text)
    known = tokens(found, how)[: len(found)].tolist()
    # More words than the model reads are refused later, by their number.
    rest = [0] * (len(found) - len(known))
    return (*([] if how.begin is None else [how.begin]), *known, *rest)


def _refuse_too_long(given: tuple[int, ...], max_tokens: int, how: TextInput) -> None:
    if max_tokens < 1:
        raise UserError(f"max_tokens: expected at least 1, got {max_tokens}.")
    if not given:
        raise UserError("The prompt is empty, and this model has no token that begins a text.")
    if len(given) + max_tokens - 1 > how.length:
        room = max(how.length - len(given) + 1, 0)
        raise UserError(
            f"The prompt has {len(given)} tokens, and {max_tokens} more do not fit: the model holds {how.length}.",
            hint=f"--max-tokens {room}" if room else "Shorten the prompt.",
        )


def _next(stream: Stream, given: tuple[int, ...], spec: ModelSpec) -> int:
    """The most probable token after `given`."""
    scores = stream.feed(np.array([given], np.int64)).outputs[spec.outputs[0].name]
    return int(scores[0, -1].argmax())
