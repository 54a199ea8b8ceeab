"""Which output contains the tokens is found from the texts of the samples."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs
from tests.runtime.tasks.test_translations import SPEC, WORDS

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.output_kinds import TokensOutput
from edgekit.export.checking.tasks.translation_forms import with_translation_form
from edgekit.runtime.tasks.transcripts import TEXT

UNREAD = structs.replace(SPEC, postprocessing=None)
TOKENS = np.array([[1, 3, 4, 3, 4, 2], [3, 3, 4, 4, 2, 0]])
TEXTS = np.array(["a b a b", "a a b b"])


def samples(**outputs: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Samples:
    expected: Feed = dict(outputs)
    return Samples({"x": np.zeros((2, 1))}, targets={TEXT: TEXTS}, expected=expected)


def test_the_output_that_gives_the_texts_is_read() -> None:
    scores = np.eye(len(WORDS), dtype=np.float32)[TOKENS]

    found, (note,) = with_translation_form(UNREAD, samples(state=np.zeros((2, 8)), reversed=TOKENS[:, ::-1], y=scores))
    chosen, (other,) = with_translation_form(UNREAD, samples(chosen=TOKENS))

    assert (found.postprocessing, chosen.postprocessing) == (TokensOutput("y"), TokensOutput("chosen"))
    assert note == "'y' was read as scores of tokens, '</s>' ends a text: corpus_bleu 100.0 on the first samples"
    assert "'chosen' was read as tokens" in other


def test_what_is_missing_is_said() -> None:
    with pytest.raises(UserError, match="need the vocabulary") as caught:
        with_translation_form(structs.replace(UNREAD, labels=()), samples(y=TOKENS))
    assert "--labels FILE" in caught.value.hint
    with pytest.raises(UserError, match=r"scores of 6 tokens, in time; per sample: y float64 \[3\]"):
        with_translation_form(UNREAD, samples(y=np.zeros((2, 3))))


def test_what_is_known_or_of_another_task_stays() -> None:
    assert with_translation_form(SPEC, samples(y=TOKENS)) == (SPEC, ())
    other = structs.replace(UNREAD, task="other")
    assert with_translation_form(other, samples(y=TOKENS)) == (other, ())
