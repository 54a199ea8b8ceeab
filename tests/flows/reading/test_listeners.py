"""A user's own network that writes what it hears: from a folder of sounds with texts to word error rates and text."""

from __future__ import annotations

import csv
import json
import wave
from pathlib import Path

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit
from edgekit.cli.main import run as edgekit_command
from edgekit.core.bundle import Bundle
from edgekit.core.samples import Samples
from edgekit.core.spec.output_kinds import TranscriptOutput
from edgekit.core.verdict import Verdict
from edgekit.runtime.tasks.transcripts import transcripts, true_texts

# Read by the workers alone: tests that start workers import no torch.
NET = Path(__file__).parents[1] / "nets" / "tones.py"
RATE, LETTER, PAUSE, LENGTH = 8000, 480, 240, 8000
HERTZ = {" ": 500, "a": 900, "b": 1300, "c": 1700, "d": 2100}
COUNT = 48


def sound(text: str, rng: np.random.Generator, quietest: float = 0.15) -> NDArray[np.float64]:
    """A tone for each letter; noise hides the quiet ones."""
    parts = []
    for letter in text:
        parts.append(rng.uniform(quietest, 0.6) * np.sin(2 * np.pi * HERTZ[letter] * np.arange(LETTER) / RATE))
        parts.append(np.zeros(PAUSE))
    whole = np.concatenate([*parts, np.zeros(LENGTH)])[:LENGTH]
    return whole + rng.normal(0, 0.02, LENGTH)


def write_sounds(folder: Path) -> list[str]:
    """Wavs of up to ten letters with spaces among them, one of them silent, and the csv that says what they say."""
    rng = np.random.default_rng(0)
    texts = [""]
    while len(texts) < COUNT:
        words = ["".join(rng.choice(list("abcd"), rng.integers(1, 5))) for _ in range(2)]
        texts.append(" ".join(words))
    (folder / "sounds").mkdir()
    with (folder / "sounds" / "texts.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "text"])
        for place, text in enumerate(texts):
            rows.writerow([f"{place}.wav", text])
            with wave.open(str(folder / "sounds" / f"{place}.wav"), "wb") as sink:
                sink.setparams((1, 2, RATE, 0, "NONE", ""))
                sink.writeframes((32767 * np.clip(sound(text, rng), -1, 1)).astype("<i2").tobytes())
    return texts


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sounds, and the bundle of one command."""
    folder = tmp_path_factory.mktemp("tones")
    write_sounds(folder)
    (folder / "alphabet.txt").write_text("<space>\na\nb\nc\nd\n", encoding="utf-8")
    code = edgekit_command(
        ["export", f"{NET}:Listener", "--samples", str(folder / "sounds"), "--labels", str(folder / "alphabet.txt"),
         "--to", "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8", "--max-drop", "5", "--out", str(folder / "bundle"),
         "--quiet"]
    )  # fmt: skip
    assert code == 0
    return folder


@pytest.mark.slow
def test_the_texts_are_read_and_every_artifact_has_its_word_error_rate(made: Path) -> None:
    found = edgekit.validate(made / "bundle")

    assert found.verdict is Verdict.PASS
    with Bundle.open(made / "bundle") as bundle:
        assert bundle.spec.task == "transcription"
        assert bundle.spec.labels == ("<blank>", "<space>", "a", "b", "c", "d")
        assert bundle.spec.postprocessing == TranscriptOutput("output", blank=0)
        kept = bundle.samples()
        assert isinstance(kept, Samples)
        expected = jiwer.wer(true_texts(kept), transcripts(kept.expected, bundle.spec))
    assert 0 < expected < 0.5
    assert [row.metric for row in found.accuracy] == ["wer"] * 4
    for row in found.accuracy:
        assert row.reference.value == pytest.approx(expected, abs=1e-6)
        assert row.quality.low is not None
        assert row.quality.high is not None
        assert row.quality.low <= expected <= row.quality.high
        assert row.drop.value == pytest.approx((row.quality.value or 0.0) - expected, abs=1e-9)


@pytest.mark.slow
def test_a_sound_becomes_its_text_in_every_format(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    for name, text in (("said", "bad cab"), ("silent", "")):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as sink:
            sink.setparams((1, 2, RATE, 0, "NONE", ""))
            loud = sound(text, rng, 0.5) if text else np.zeros(LENGTH)
            sink.writeframes((32767 * loud).astype("<i2").tobytes())
    inputs = ["--input", str(tmp_path / "said.wav"), "--input", str(tmp_path / "silent.wav")]

    for artifact in ("onnx-fp32", "tflite-int8"):
        words = ["run", str(made / "bundle"), "--artifact", artifact, *inputs, "--output", str(tmp_path / "said.txt")]
        assert edgekit_command(words) == 0
        assert (tmp_path / "said.txt").read_text(encoding="utf-8") == "bad cab\n\n"
        assert "bad cab" in capsys.readouterr().out
    assert edgekit_command([*words[:-2], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(one["text"], one["is_text"]) for one in document["answers"]] == [("bad cab", True), ("", True)]
    with edgekit.load(made / "bundle", artifact="onnx-int8") as session:
        assert session.predict(tmp_path / "said.wav").text == "bad cab"


@pytest.mark.slow
def test_time_first_as_ctc_takes_it_gives_the_same_texts(made: Path, tmp_path: Path) -> None:
    with (made / "sounds" / "texts.csv").open(encoding="utf-8") as file:
        texts = {row["file"]: row["text"] for row in csv.DictReader(file)}
    alphabet = ["<blank>", "<space>", "a", "b", "c", "d"]
    (tmp_path / "texts.json").write_text(json.dumps({"alphabet": alphabet, "texts": texts}), encoding="utf-8")
    code = edgekit_command(
        ["export", f"{NET}:TimeFirst", "--samples", str(made / "sounds"), "--labels", str(tmp_path / "texts.json"),
         "--to", "onnx-fp32", "--out", str(tmp_path / "bundle"), "--quiet"]
    )  # fmt: skip

    assert code == 0
    with Bundle.open(tmp_path / "bundle") as bundle:
        assert bundle.spec.postprocessing == TranscriptOutput("output")
    row = edgekit.validate(tmp_path / "bundle").accuracy[0]
    other = edgekit.validate(made / "bundle").accuracy[0]
    assert row.reference.value == other.reference.value
    assert row.drop.value == pytest.approx(0, abs=0.02)
    with edgekit.load(tmp_path / "bundle") as session:
        assert session.predict(made / "sounds" / "5.wav").text
