"""Perplexity: among how many words a network hesitates, from its scores and the words that came. Needs only numpy."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.statistics.bootstrap import Rows, Statistic
from edgekit.runtime.readers import PADDING

# Rows whose scores are in float64 at once.
_AT_ONCE: Final = 16


def perplexity(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """The exponential of the mean cross-entropy of a word that is not padding, over all words of the chosen samples.

    Scores are (S, T, words), the true words (S, T).

    Raises:
        UserError: The samples have no true words, or those do not fit the scores.
    """
    name, words = next(iter(samples.targets.items()), ("", np.zeros(0)))
    scores = outputs.get(name)
    if scores is None or words.dtype.kind not in "iu" or scores.shape[:-1] != words.shape or words.ndim != 2:
        raise UserError(f"'{spec.name}' has no scores of every word, (S, T, words), and true words for them, (S, T).")
    if not words.size or words.min() < 0 or words.max() >= scores.shape[-1]:
        raise UserError(f"The true words of '{name}' are not from 0 to {scores.shape[-1] - 1}.")
    if not (words != PADDING).any(axis=1).all():
        raise UserError(f"A sample has no word for '{name}'.")
    parts = [slice(start, start + _AT_ONCE) for start in range(0, len(words), _AT_ONCE)]
    return of_losses(np.concatenate([word_losses(scores[part], words[part]) for part in parts]))


def word_losses(scores: Array, words: Array) -> NDArray[np.float64]:
    """The cross-entropy of all words of each sample together, and their number, (S, 2); shapes as in `perplexity`."""
    shifted = scores.astype(np.float64) - scores.max(-1, keepdims=True)
    chances = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    found = np.take_along_axis(chances, words[..., None].astype(np.int64), -1)[..., 0]
    is_word = words != PADDING
    return np.stack([-(found * is_word).sum(1), is_word.sum(1)], axis=1)


def of_losses(losses: NDArray[np.float64]) -> Statistic:
    """The perplexity of chosen samples, from what `word_losses` returns for all of them."""

    def over(rows: Rows) -> float:
        loss, count = losses[rows].sum(axis=0)
        return float(np.exp(loss / count))

    return over
