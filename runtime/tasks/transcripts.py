"""Text in the scores of a network that was trained with CTC (Graves et al. 2006): speech, and lines of writing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TranscriptOutput
from edgekit.core.statistics.bootstrap import Statistic
from edgekit.core.statistics.edit_distance import character_errors, word_errors

TRANSCRIPTION: Final = "transcription"
# The array of the text of each sample, (S,).
TEXT: Final = "text"
# In an alphabet: what a blank between words is called, and the symbol for "no symbol".
SPACE: Final = "<space>"
BLANK: Final = "<blank>"
# SentencePiece begins words with it (Kudo and Richardson 2018).
WORD_BEGIN: Final = "\u2581"
_AXES: Final = 2


def transcript(outputs: Feed, spec: ModelSpec) -> str:
    """The text of one sample, whose batch axis may be anywhere; errors as in `transcripts`."""
    how = _how(spec)
    return _text(_scores(_output(outputs, how), how), how, spec.labels)


def transcripts(outputs: Feed, spec: ModelSpec) -> list[str]:
    """The text of each sample by greedy decoding: the best symbol of each moment, repetitions once, without blanks.

    Of equal scores the first symbol is the best. Moments that an output does not have (NaN) are left out.

    Args:
        outputs: Of S samples, `{name: (S, ...)}`.

    Raises:
        UserError: The output that the spec describes does not have the shape of scores in time.
    """
    how = _how(spec)
    return [_text(_scores(one, how), how, spec.labels) for one in _output(outputs, how)]


def symbol_count(output: Array, how: TranscriptOutput) -> int:
    """How many symbols the scores (S, ...) of some samples distinguish; errors as in `transcripts`."""
    return int(_scores(output[0], how).shape[1])


def wer(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """The word error rate; the metric of a network that writes several words."""
    return word_errors(transcripts(outputs, spec), true_texts(samples)).rate


def cer(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """The character error rate; the metric where texts have no words."""
    return character_errors(transcripts(outputs, spec), true_texts(samples)).rate


def has_texts(samples: Samples) -> bool:
    """Whether the samples contain the text of each."""
    return TEXT in samples.targets and samples.targets[TEXT].dtype.kind == "U"


def true_texts(samples: Samples) -> list[str]:
    """What should be written for each sample.

    Raises:
        UserError: The samples contain no texts, or not one each.
    """
    array = samples.targets.get(TEXT)
    if array is None or array.dtype.kind != "U" or array.size != len(samples):
        raise UserError(f"The samples have no '{TEXT}' of each.", hint="edgekit export SOURCE --samples FILE")
    return [str(one) for one in array.reshape(-1)]


def _text(scores: NDArray[Any], how: TranscriptOutput, alphabet: Sequence[str]) -> str:
    best = scores.argmax(axis=1)
    kept = [int(now) for before, now in pairwise([-1, *best]) if now not in (before, how.blank)]
    return spelled([alphabet[index] if index < len(alphabet) else "" for index in kept])


def spelled(symbols: Sequence[str]) -> str:
    """The text of symbols of an alphabet."""
    return "".join(" " if one == SPACE else one for one in symbols).replace(WORD_BEGIN, " ").strip()


def _how(spec: ModelSpec) -> TranscriptOutput:
    how = spec.postprocessing
    if not isinstance(how, TranscriptOutput):
        raise UserError(f"'{spec.name}' has no description of the text in its outputs.")
    return how


def _output(outputs: Feed, how: TranscriptOutput) -> Array:
    if how.scores not in outputs:
        raise UserError(f"The model has no output '{how.scores}'; it has {', '.join(outputs)}.")
    return outputs[how.scores]


def _scores(array: Array, how: TranscriptOutput) -> NDArray[Any]:
    """Scores (T, K) of one sample, without moments that are none."""
    axes = [axis for axis, size in enumerate(array.shape) if size == 1]
    flat = array.squeeze(tuple(axes[: max(0, array.ndim - _AXES)]))
    if flat.ndim != _AXES or not flat.size or flat.dtype.kind not in "fiub":
        raise UserError(f"Output '{how.scores}' has {array.dtype} of the shape {list(array.shape)}: no scores in time.")
    scores = flat.T if how.channels_first else flat
    return scores[~np.isnan(scores).any(axis=1)] if scores.dtype.kind == "f" else scores
