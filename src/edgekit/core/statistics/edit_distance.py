"""How far texts are from what they should be: the fewest words or characters that must change (Levenshtein 1966).

`jiwer` gives the same rates; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.core.statistics.bootstrap import Rows

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class TextErrors:
    """Of S texts the words (or characters) that must change, `errors` (S,), and how many there should be, (S,)."""

    errors: Counts
    lengths: Counts

    def rate(self, rows: Rows) -> float:
        """The errors of these samples together, for each word that there should be; above 1 if many are too much.

        Without any word that should be there, it is the number of errors, as in jiwer.
        """
        return float(self.errors[rows].sum() / max(1, self.lengths[rows].sum()))


def word_errors(found: Sequence[str], true: Sequence[str]) -> TextErrors:
    """Errors in words, which white space separates; case and punctuation count."""
    return _errors([one.split() for one in found], [one.split() for one in true])


def character_errors(found: Sequence[str], true: Sequence[str]) -> TextErrors:
    """Errors in characters, without white space at both ends."""
    return _errors([list(one.strip()) for one in found], [list(one.strip()) for one in true])


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions that turn one sequence into the other."""
    places = np.arange(len(second) + 1)
    other = np.array(list(second), np.str_)
    row = places
    for count, one in enumerate(first, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (other != one))
        # Insertions: each place is at most one more than the one before it, taken for all places at once.
        row = np.minimum.accumulate(np.concatenate([[count], changed]) - places) + places
    return int(row[-1])


def _errors(found: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> TextErrors:
    errors = [edit_distance(one, other) for one, other in zip(true, found, strict=True)]
    return TextErrors(np.array(errors, np.int64), np.array([len(one) for one in true], np.int64))
