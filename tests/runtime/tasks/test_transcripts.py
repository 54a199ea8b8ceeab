"""Greedy decoding of CTC: symbols once, without blanks, whatever the order of the axes."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TranscriptOutput
from edgekit.runtime.tasks.transcripts import TEXT, cer, spelled, transcript, transcripts, wer

ALPHABET = ("<blank>", "<space>", "a", "b")
SPEC = ModelSpec("net", "transcription", (), labels=ALPHABET, postprocessing=TranscriptOutput("y"))


def scores(*best: int, size: int = len(ALPHABET)) -> NDArray[np.float32]:
    """(T, K), in which `best` are the symbols with the highest scores."""
    return np.eye(size, dtype=np.float32)[list(best)]


@pytest.mark.parametrize(
    ("best", "text"),
    [
        ([2, 2, 0, 2, 3, 3], "aab"),
        ([0, 0, 0], ""),
        ([2, 1, 1, 3, 0], "a b"),
        ([1, 2, 1], "a"),
        ([3], "b"),
    ],
)
def test_repetitions_count_once_unless_a_blank_is_between_them(best: list[int], text: str) -> None:
    assert transcripts({"y": scores(*best)[None]}, SPEC) == [text]


def test_every_order_of_the_axes_gives_the_same_text() -> None:
    rows = scores(0, 2, 3, 3, 0)
    last = structs.replace(SPEC, postprocessing=TranscriptOutput("y", channels_first=True))

    assert transcript({"y": rows[None]}, SPEC) == "ab"
    assert transcript({"y": rows[:, None]}, SPEC) == "ab"
    assert transcript({"y": rows.T[None]}, last) == "ab"
    assert transcripts({"y": np.stack([rows, rows])[:, None]}, SPEC) == ["ab", "ab"]


def test_the_blank_may_be_any_symbol_and_of_equal_scores_the_first_counts() -> None:
    how = structs.replace(SPEC, labels=("a", "b", "<blank>"), postprocessing=TranscriptOutput("y", blank=2))

    assert transcript({"y": scores(0, 2, 0, 1, size=3)[None]}, how) == "aab"
    assert transcript({"y": np.zeros((1, 4, 3), np.float32)}, how) == "a"


def test_moments_that_a_shorter_output_lacks_are_left_out() -> None:
    rows = scores(2, 3, 2)
    rows[2] = np.nan

    assert transcript({"y": rows[None]}, SPEC) == "ab"


def test_pieces_of_words_become_words() -> None:
    assert spelled(["▁the", "▁ca", "t"]) == "the cat"


def test_the_rates_are_those_of_the_chosen_samples() -> None:
    outputs: Feed = {"y": np.stack([scores(2, 0, 2), scores(2, 1, 3), scores(0, 0, 0)])}
    samples = Samples({"x": np.zeros((3, 1))}, targets={TEXT: np.array(["aa", "a a", ""])})

    assert wer(outputs, samples, SPEC)(np.arange(3)) == pytest.approx(1 / 3)
    assert cer(outputs, samples, SPEC)(np.array([1, 1, 2])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("texts", [None, np.zeros(2), np.array([["a", "b"], ["c", "d"]])])
def test_samples_of_a_stranger_without_a_text_each_are_refused(texts: NDArray[np.generic] | None) -> None:
    samples = Samples({"x": np.zeros((2, 1))}, targets={} if texts is None else {TEXT: texts})

    with pytest.raises(UserError, match="no 'text' of each"):
        wer({"y": np.stack([scores(2), scores(3)])}, samples, SPEC)


@pytest.mark.parametrize("array", [np.zeros((1, 3)), np.zeros((1, 2, 3, 4)), np.zeros((1, 0, 4)), np.array(["a"])])
def test_an_output_that_is_no_scores_in_time_is_refused(array: NDArray[np.generic]) -> None:
    with pytest.raises(UserError, match="no scores in time"):
        transcripts({"y": array}, SPEC)
    with pytest.raises(UserError, match="no output 'y'"):
        transcripts({"z": array}, SPEC)
    with pytest.raises(UserError, match="no description"):
        transcripts({"y": array}, structs.replace(SPEC, postprocessing=None))
