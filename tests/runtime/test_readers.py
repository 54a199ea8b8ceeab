from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import AudioInput, SeriesInput, TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.preprocessing import read_input
from edgekit.runtime.readers import read_wav

AUDIO = ModelSpec(
    "kws", "classification", (TensorSpec("audio", "float32", ("N", 8)),), preprocessing=AudioInput(16_000, 8)
)
TEXT = ModelSpec(
    "mood",
    "classification",
    (TensorSpec("tokens", "int64", ("N", "T")),),
    preprocessing=TextInput(("<pad>", "<unknown>", "<begin>", "<end>", "good", "film", "."), 6, end=3),
)
SERIES = ModelSpec(
    "next", "regression", (TensorSpec("x", "float32", ("N", 2, 2)),), preprocessing=SeriesInput(("b", "a"), 2)
)


def wav(values: list[int], *, rate: int = 16_000, channels: int = 1) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.array(values, "<i2").tobytes())
    return data.getvalue()


def test_a_wav_file_is_scaled_and_filled(tmp_path: Path) -> None:
    (tmp_path / "yes.wav").write_bytes(wav([0, 16384, -32768]))

    feed = read_input(tmp_path / "yes.wav", AUDIO)

    assert feed["audio"].tolist() == [[0, 0.5, -1, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (wav([1, 2], rate=8000), "expected 16000 Hz, 16 bit, 1 channel, got 8000 Hz"),
        (wav([1, 2], channels=2), "got 16000 Hz, 16 bit, 2 channels"),
        (wav([1, 2, 3])[:-2], "is truncated: 2 of 3 values"),
        (b"RIFF", "is not a wav file"),
        (b"", "is not a wav file: it is empty"),
    ],
)
def test_another_wav_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_wav(data, "word.wav", rate=16_000)


def test_a_sentence_becomes_places_in_the_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "view.txt").write_text("Good, good film.", encoding="utf-8")

    assert read_input(tmp_path / "view.txt", TEXT)["tokens"].tolist() == [[4, 1, 4, 5, 6, 3]]


def test_a_long_sentence_is_cut_and_still_ends(tmp_path: Path) -> None:
    (tmp_path / "view.txt").write_text("good " * 50, encoding="utf-8")

    assert read_input(tmp_path / "view.txt", TEXT)["tokens"].tolist() == [[4, 4, 4, 4, 4, 3]]


def test_the_last_rows_of_a_table_are_taken_in_the_order_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time,a,b\n0,1,2\n1,3,4\n2,5,6\n")

    assert read_input(tmp_path / "t.csv", SERIES)["x"].tolist() == [[[4, 3], [6, 5]]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n1\n", "has no column 'b'"),
        ("a,b\n1,2\n", "has 1 rows; the model takes the last 2"),
        ("a,b\n1,2\n3,x\n", "line 3: could not convert"),
        ("a,b\n1,2\n3\n", "line 3"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)

    with pytest.raises(UserError, match=message):
        read_input(tmp_path / "t.csv", SERIES)


def test_another_kind_of_file_names_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n")

    with pytest.raises(UserError, match=r"expected a \.wav, \.npy or \.npz"):
        read_input(tmp_path / "t.csv", AUDIO)
