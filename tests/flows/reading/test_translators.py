"""A user's own network that translates: from tokens with texts to BLEU of every artifact, and to text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

import edgekit
from edgekit.cli.main import run as edgekit_command
from edgekit.core.bundle import Bundle
from edgekit.core.samples import TARGET, Feed, write_arrays
from edgekit.core.spec.output_kinds import TokensOutput
from edgekit.core.verdict import Verdict
from edgekit.runtime.tasks.transcripts import TEXT, true_texts
from edgekit.runtime.tasks.translations import translations

# Read by the workers alone: tests that start workers import no torch.
NET = Path(__file__).parents[1] / "nets" / "phrases.py"
COUNT, LONGEST = 60, 12
VOCABULARY = ("<pad>", "</s>", ",", *(f"wort{place}" for place in range(21)))


@pytest.mark.slow
def test_texts_are_judged_by_bleu_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    tokens = np.zeros((COUNT, LONGEST), np.int64)
    texts = []
    for given in tokens:
        length = int(rng.integers(4, LONGEST))
        given[:length], given[length] = rng.integers(2, len(VOCABULARY), length), 1
        texts.append(" ".join(VOCABULARY[token] for token in given[:length]))
    arrays: Feed = {"tokens": tokens, f"{TARGET}{TEXT}": np.array(texts)}
    write_arrays(tmp_path / "s.npz", arrays)
    (tmp_path / "words.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")

    code = edgekit_command(
        ["export", f"{NET}:Phrases", "--task", "translation", "--samples", str(tmp_path / "s.npz"),
         "--labels", str(tmp_path / "words.txt"), "--to", "onnx-fp32,onnx-int8,tflite-fp32", "--max-drop", "5",
         "--out", str(tmp_path / "bundle"), "--quiet"]
    )  # fmt: skip

    assert code == 0
    (tmp_path / "s.npz").unlink()
    found = edgekit.validate(tmp_path / "bundle")
    assert found.verdict is Verdict.PASS
    with Bundle.open(tmp_path / "bundle") as bundle:
        assert (bundle.spec.task, bundle.spec.postprocessing) == ("translation", TokensOutput("output"))
        kept = bundle.samples()
        assert kept is not None
        written = translations(kept.expected, bundle.spec)
    expected = BLEU().corpus_score(written, [true_texts(kept)]).score
    assert 20 < expected < 99
    for row in found.accuracy:
        assert row.metric == "corpus_bleu"
        assert row.reference.value == pytest.approx(expected, abs=1e-6)
        assert row.quality.low is not None
        assert row.quality.high is not None
        assert row.quality.low < expected < row.quality.high
        assert row.drop.value is not None
        assert row.drop.value <= 0.05 * expected
    assert found.accuracy[0].drop.value == pytest.approx(0, abs=1e-9)

    np.save(tmp_path / "one.npy", np.array([[5, 2, 6, 1, 7, *[0] * 7]]))
    words = ["run", str(tmp_path / "bundle"), "--artifact", "onnx-fp32", "--input", str(tmp_path / "one.npy")]
    assert edgekit_command([*words, "--output", str(tmp_path / "said.txt")]) == 0
    text = (tmp_path / "said.txt").read_text(encoding="utf-8").strip()
    assert text in capsys.readouterr().out
    assert "wort" in text
    assert "</s>" not in text
