"""Perplexity of words: as PyTorch computes it, of any choice of samples, and refused for what has no words."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.statistics.bootstrap import bootstrap_difference
from edgekit.export.checking.tasks.quality import quality_of
from edgekit.runtime.readers import PADDING
from edgekit.runtime.tasks.perplexity import perplexity

SPEC = ModelSpec("writer", "generation", ())
WORDS = 9


def scored(count: int = 40, length: int = 7, seed: int = 0) -> tuple[Array, Samples]:
    """Scores of every word, and true words, of which each sample has another number."""
    random = np.random.default_rng(seed)
    truth = random.integers(1, WORDS, (count, length))
    for row in range(count):
        truth[row, 1 + row % length :] = PADDING
    scores = random.normal(size=(count, length, WORDS)).astype(np.float32)
    return scores, Samples({"tokens": truth}, None, {"logits": truth})


def expected(scores: Array, truth: Array, rows: Array) -> float:
    flat = torch.from_numpy(scores[rows]).double().flatten(0, 1), torch.from_numpy(truth[rows]).flatten()
    return math.exp(float(torch.nn.functional.cross_entropy(*flat, ignore_index=PADDING)))


def test_it_is_what_pytorch_computes_for_any_choice_of_samples() -> None:
    scores, samples = scored()
    random = np.random.default_rng(1)

    found = perplexity({"logits": scores}, samples, SPEC)

    for rows in [np.arange(40), *(random.integers(0, 40, 40) for _ in range(20))]:
        assert found(rows) == pytest.approx(expected(scores, samples.targets["logits"], rows), rel=1e-12)


def test_equal_scores_hesitate_among_all_words() -> None:
    scores, samples = scored()

    found = perplexity({"logits": np.zeros_like(scores)}, samples, SPEC)

    assert found(np.arange(40)) == pytest.approx(WORDS)


def test_worse_scores_are_a_drop_paired_by_sample() -> None:
    scores, samples = scored()
    truth = samples.targets["logits"]
    better = scores + 2 * np.eye(WORDS, dtype=np.float32)[truth]

    before, after = (quality_of("perplexity", {"logits": one}, samples, SPEC) for one in (better, scores))

    assert before is not None
    assert after is not None
    drop, rows = before.drop_to(after), np.arange(40)
    assert drop.value == pytest.approx(expected(scores, truth, rows) - expected(better, truth, rows))
    assert drop.low > 0
    assert before.statistic is not None
    assert bootstrap_difference(40, before.statistic, before.statistic).value == 0.0


WRONG = {
    "reals": np.ones((40, 7)),
    "unknown words": np.full((40, 7), WORDS),
    "below zero": np.full((40, 7), -1),
    "another length": np.ones((40, 6), np.int64),
    "padding alone": np.zeros((40, 7), np.int64),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_has_no_words_is_refused(name: str) -> None:
    scores, samples = scored()

    with pytest.raises(UserError, match=r"true words|word for"):
        perplexity({"logits": scores}, Samples(samples.inputs, None, {"logits": WRONG[name]}), SPEC)


def test_another_output_has_no_perplexity() -> None:
    scores, samples = scored()

    with pytest.raises(UserError, match="no scores of every word"):
        perplexity({"other": scores}, samples, SPEC)
