"""How a network writes text in time is found from the texts of the samples."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray
from tests.runtime.tasks.test_transcripts import SPEC, scores

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TranscriptOutput
from edgekit.export.checking.tasks.transcript_forms import with_transcript_form
from edgekit.runtime.tasks.transcripts import TEXT

COUNT = 3


def unread(*alphabet: str) -> ModelSpec:
    return structs.replace(SPEC, labels=alphabet, postprocessing=None)


def texts(text: str, **outputs: NDArray[np.generic]) -> Samples:
    expected = {name: np.stack([array] * COUNT) for name, array in outputs.items()}
    return Samples({"x": np.zeros((COUNT, 1))}, targets={TEXT: np.array([text] * COUNT)}, expected=expected)


@pytest.mark.parametrize(
    ("alphabet", "best", "blank", "labels"),
    [
        (("a", "b"), [0, 1, 0, 1, 2], 0, ("<blank>", "a", "b")),
        (("a", "b"), [2, 0, 2, 0, 1], 2, ("a", "b", "<blank>")),
        (("a", "<pad>", "b"), [0, 1, 0, 2], 1, ("a", "<pad>", "b")),
        (("_", "a", "b"), [1, 0, 1, 2], 0, ("_", "a", "b")),
        (("a", "b", "_"), [0, 2, 0, 1], 2, ("a", "b", "_")),
    ],
)
def test_the_blank_is_where_the_texts_are_spelled_best(
    alphabet: tuple[str, ...], best: list[int], blank: int, labels: tuple[str, ...]
) -> None:
    found, (note,) = with_transcript_form(unread(*alphabet), texts("aab", state=np.zeros(8), y=scores(*best, size=3)))

    assert (found.postprocessing, found.labels) == (TranscriptOutput("y", blank), labels)
    assert f"'y' was read as scores [N, time, symbols] with the blank at {blank}: cer 0.000" in note


def test_symbols_before_time_are_recognized() -> None:
    found, (note,) = with_transcript_form(unread("<blank>", "a", "b"), texts("ab", y=scores(1, 2, size=3).T))

    assert found.postprocessing == TranscriptOutput("y", channels_first=True)
    assert "[N, symbols, time]" in note


def test_what_the_alphabet_lacks_and_what_no_reading_spells_is_said() -> None:
    _, notes = with_transcript_form(unread("<blank>", "<space>", "a"), texts("b é!", y=scores(2, 2, 0, 1, size=3)))

    assert "no reading spells the texts" in notes[0]
    assert notes[1] == "the texts contain 3 characters that the alphabet lacks: '!', 'b', 'é'; each counts as an error"


def test_scores_that_fit_no_alphabet_are_refused_with_their_shapes() -> None:
    samples = texts("ab", y=scores(1, 2, size=3))

    with pytest.raises(UserError, match=r"scores of 5 symbols, .* y float32 \[2, 3\]"):
        with_transcript_form(unread(*"abcde"), samples)
    with pytest.raises(UserError, match="need the alphabet") as caught:
        with_transcript_form(unread(), samples)
    assert "--labels FILE" in caught.value.hint


def test_what_is_known_or_of_another_task_stays() -> None:
    samples = texts("ab", y=scores(1, 2, size=3))

    assert with_transcript_form(SPEC, samples) == (SPEC, ())
    other = structs.replace(unread("a", "b"), task="other")
    assert with_transcript_form(other, samples) == (other, ())
