"""Texts from tokens, and BLEU of any choice of them, compared with sacrebleu."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TokensOutput
from edgekit.runtime.tasks.transcripts import TEXT
from edgekit.runtime.tasks.translations import corpus_bleu, ngram_counts, translation, translations, written

WORDS = ("<pad>", "<s>", "</s>", "a", "b", ".")
SPEC = ModelSpec("net", "translation", (), labels=WORDS, postprocessing=TokensOutput("y"))


def test_200_random_sets_of_texts_have_the_bleu_of_sacrebleu() -> None:
    rng = np.random.default_rng(0)
    words = ["the", "cat,", "sat", "on", "a", "mat.", "3.5", "don't"]
    for _ in range(200):
        count = int(rng.integers(1, 6))
        true = [" ".join(rng.choice(words, rng.integers(0, 12))) for _ in range(count)]
        found = [" ".join(one if rng.random() < 0.8 else "x" for one in text.split()) for text in true]
        rows = rng.integers(0, count, count)

        drawn = [found[row] for row in rows], [[true[row] for row in rows]]
        assert ngram_counts(found, true).score(rows) == pytest.approx(BLEU().corpus_score(*drawn).score, abs=1e-6)


@pytest.mark.parametrize(
    ("tokens", "text"), [([1, 3, 4, 2, 4], "a b"), ([3, 5, 0, 0], "a."), ([2], ""), ([3, -1, 99, 4], "a b")]
)
def test_a_text_ends_with_its_end_and_silent_tokens_are_left_out(tokens: list[int], text: str) -> None:
    array = np.array([tokens])

    assert translations({"y": array}, SPEC) == [text]
    assert translation({"y": array[None]}, SPEC) == text


def test_scores_become_the_tokens_with_the_highest() -> None:
    scores = np.eye(len(WORDS), dtype=np.float32)[[[3, 4, 2], [4, 4, 4]]]
    scores[1, 2] = np.nan
    outputs: Feed = {"y": scores}
    samples = Samples({"x": np.zeros((2, 1))}, targets={TEXT: np.array(["a b", "b b"])})

    assert translations(outputs, SPEC) == ["a b", "b b"]
    assert corpus_bleu(outputs, samples, SPEC)(np.array([0])) == BLEU().corpus_score(["a b"], [["a b"]]).score


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["▁the", "▁ca", "t", "▁."], "the cat ."),
        (["the", "ca", "##t", "."], "the cat."),
        (["the", "cat"], "the cat"),
    ],
)
def test_pieces_of_words_become_words(tokens: list[str], text: str) -> None:
    assert written(tokens) == text


@pytest.mark.parametrize("array", [np.zeros((2, 3)), np.zeros((2, 3, 2)), np.zeros(2, int), np.array([["a"]])])
def test_an_output_without_tokens_is_refused(array: NDArray[np.generic]) -> None:
    with pytest.raises(UserError, match="neither tokens in time nor scores of 6 tokens"):
        translations({"y": array}, SPEC)
    with pytest.raises(UserError, match="no output 'y'"):
        translations({"z": array}, SPEC)
    with pytest.raises(UserError, match="no description"):
        translations({"y": array}, structs.replace(SPEC, postprocessing=None))
