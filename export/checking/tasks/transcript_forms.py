"""How a user's network writes text in time: the reading of its scores that spells the texts of the samples best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import structs

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TranscriptOutput
from edgekit.runtime.tasks.transcripts import (
    BLANK,
    TRANSCRIPTION,
    cer,
    has_texts,
    spelled,
    symbol_count,
    true_texts,
)

# Samples on which the readings are compared.
_TRIED: Final = 50
_SCORES: Final = 3
# What libraries call the symbol for "no symbol".
_BLANKS: Final = (BLANK, "<blk>", "<pad>", "[PAD]")
# A reading spells hardly anything above this.
_SPELT: Final = 0.95


class TranscriptReading(NamedTuple):
    """A reading of the outputs with the alphabet in the order of the scores, and its character error rate."""

    how: TranscriptOutput
    alphabet: tuple[str, ...]
    errors: float


def with_transcript_form(spec: ModelSpec, samples: Samples) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with the reading of its outputs, and notes of it; unchanged for other tasks and where it is known.

    Args:
        samples: With texts and the reference outputs.

    Raises:
        UserError: There is no alphabet, or no outputs have the shape of scores of its symbols in time.
    """
    if spec.task != TRANSCRIPTION or spec.postprocessing is not None or not has_texts(samples):
        return spec, ()
    if not spec.labels:
        raise UserError(
            f"The texts of the samples need the alphabet of '{spec.name}'.",
            hint=f"--labels FILE with a symbol per line, in the order of the scores; {BLANK} and <space> are symbols.",
        )
    few = samples.take(slice(0, _TRIED))
    readings = [_tried(spec, how, alphabet, few) for how, alphabet in _possible(few.expected, spec.labels)]
    if not readings:
        shapes = ", ".join(f"{name} {array.dtype} {list(array.shape[1:])}" for name, array in samples.expected.items())
        raise UserError(
            f"No output of '{spec.name}' contains scores of {len(spec.labels)} symbols, or of one more for the blank, "
            f"in time; per sample: {shapes}.",
            hint="Return scores [N, time, symbols] or [N, symbols, time], before the argmax.",
        )
    best = min(readings, key=lambda one: one.errors)
    read = structs.replace(spec, postprocessing=best.how, labels=best.alphabet)
    return read, (_note(best), *_unknown_characters(best, samples))


def _note(best: TranscriptReading) -> str:
    axes = "[N, symbols, time]" if best.how.channels_first else "[N, time, symbols]"
    read = f"'{best.how.scores}' was read as scores {axes} with the blank at {best.how.blank}"
    if best.errors < _SPELT:
        return f"{read}: cer {best.errors:.3f} on the first samples"
    return (
        f"{read}, but no reading spells the texts (cer {best.errors:.3f}): weights, preprocessing, or the order of the "
        f"{len(best.alphabet)} symbols may be wrong"
    )


def _unknown_characters(best: TranscriptReading, samples: Samples) -> Iterator[str]:
    symbols = (symbol for place, symbol in enumerate(best.alphabet) if place != best.how.blank)
    known = {" ", *"".join(map(spelled, zip(symbols)))}
    missing = sorted(set("".join(true_texts(samples))) - known)
    if missing:
        some = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
        yield f"the texts contain {len(missing)} characters that the alphabet lacks: {some}; each counts as an error"


def _tried(spec: ModelSpec, how: TranscriptOutput, alphabet: tuple[str, ...], samples: Samples) -> TranscriptReading:
    read = structs.replace(spec, postprocessing=how, labels=alphabet)
    return TranscriptReading(how, alphabet, cer(samples.expected, samples, read)(np.arange(len(samples))))


def _possible(outputs: Feed, alphabet: tuple[str, ...]) -> Iterator[tuple[TranscriptOutput, tuple[str, ...]]]:
    """Every reading of the real outputs, with the alphabet it has; of equal ones the first counts, symbols last."""
    for name, array in outputs.items():
        if array.dtype.kind != "f" or array.ndim < _SCORES:
            continue
        for channels_first in (False, True):
            form = TranscriptOutput(name, channels_first=channels_first)
            try:
                size = symbol_count(array, form)
            except UserError:
                continue
            for blank, symbols in _alphabets(alphabet, size):
                yield structs.replace(form, blank=blank), symbols


def _alphabets(alphabet: tuple[str, ...], size: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Where the blank may be, and the alphabet with it: as it is named, else in front or at the end."""
    named: Sequence[str] = [name for name in _BLANKS if name in alphabet]
    if len(alphabet) == size:
        yield from ((place, alphabet) for place in ([alphabet.index(named[0])] if named else [0, size - 1]))
    elif len(alphabet) + 1 == size and not named:
        yield 0, (BLANK, *alphabet)
        yield size - 1, (*alphabet, BLANK)
