"""Word and character error rates, compared with jiwer on random texts."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest

from edgekit.core.statistics.edit_distance import character_errors, edit_distance, word_errors


def random_texts(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of up to twelve characters with runs of spaces, empty ones among them."""
    return ["".join(rng.choice(list("ab é "), rng.integers(0, 13))) for _ in range(count)]


def test_200_random_sets_of_texts_have_the_rates_of_jiwer() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = int(rng.integers(1, 8))
        true, found = random_texts(rng, count), random_texts(rng, count)
        rows = rng.integers(0, count, count)
        drawn = [true[row] for row in rows], [found[row] for row in rows]

        assert word_errors(found, true).rate(rows) == pytest.approx(jiwer.wer(*drawn), abs=1e-6)
        assert character_errors(found, true).rate(rows) == pytest.approx(jiwer.cer(*drawn), abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "changes"), [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3)]
)
def test_the_fewest_changes_are_counted(first: str, second: str, changes: int) -> None:
    assert edit_distance(first, second) == changes


def test_a_text_where_none_should_be_counts_its_words() -> None:
    assert word_errors(["two words"], [""]).rate(np.array([0])) == 2
    assert word_errors(["two words", "a"], ["", "a b"]).rate(np.array([0, 1])) == 1.5
