"""From a file or a sentence to an answer, on bundles with one tiny graph each."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from PIL import Image
from tests.flows.nets.small_bundles import bundle

from edgekit.core.errors import UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.flows.run import run


def test_an_image_file_becomes_labels_with_scores(classifier: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9), 250, np.uint8)).save(tmp_path / "white.png")

    found = run(classifier, input=[tmp_path / "white.png"], output=tmp_path / "scores.csv")

    assert [score.label for score in found.answers[0].scores] == ["light", "dark"]
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[0] == "input,label,probability"
    assert lines[1].startswith(f"{tmp_path / 'white.png'},light,0.99")


def test_every_sample_of_a_batch_has_its_rows(classifier: Path, tmp_path: Path) -> None:
    # It had none: the csv was a header and the txt an empty line, with exit code 0.
    batch = np.stack([np.full((1, 4, 4), value, np.float32) for value in (1, -1, 1)])
    np.save(tmp_path / "batch.npy", batch)

    found = run(classifier, input=[tmp_path / "batch.npy"], output=tmp_path / "scores.csv")
    run(classifier, input=[tmp_path / "batch.npy"], output=tmp_path / "labels.txt")
    run(classifier, input=[tmp_path / "batch.npy"], output=tmp_path / "all.npz")

    names = [f"{tmp_path / 'batch.npy'}:{row}" for row in range(3)]
    assert [answer.input for answer in found.answers] == names
    assert [answer.scores[0].label for answer in found.answers] == ["light", "dark", "light"]
    rows = [line.split(",") for line in (tmp_path / "scores.csv").read_text().splitlines()]
    assert [row[:2] for row in rows[1::2]] == [[names[0], "light"], [names[1], "dark"], [names[2], "light"]]
    assert (tmp_path / "labels.txt").read_text() == "light\ndark\nlight\n"
    with np.load(tmp_path / "all.npz") as arrays:
        assert arrays["logits"].shape == (3, 2)


def test_every_curve_of_a_batch_is_written(forecaster: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1, 2, 3], [5, 6, 7]], np.float32))

    run(forecaster, input=[tmp_path / "x.npy"], output=tmp_path / "next.csv")

    values = [line.split(",")[2] for line in (tmp_path / "next.csv").read_text().splitlines()[1:]]
    assert values == ["11.0", "12.0", "13.0", "15.0", "16.0", "17.0"]


def test_a_file_that_would_lack_a_prediction_is_refused(tmp_path: Path) -> None:
    spec = ModelSpec(
        "pairs",
        "classification",
        (TensorSpec("x", "float32", ("N", 2)),),
        (TensorSpec("scores", "float32", ("M", 2)),),
    )
    nodes = [helper.make_node("Concat", ["x", "x"], ["scores"], axis=0)]
    np.save(tmp_path / "x.npy", np.zeros((2, 2), np.float32))

    with pytest.raises(UserError, match=r"not one prediction per sample, so '.*x\.csv' would lack it"):
        run(bundle(tmp_path / "pairs", spec, nodes), input=[tmp_path / "x.npy"], output=tmp_path / "x.csv")

    assert not (tmp_path / "x.csv").exists()


def test_a_batch_without_samples_is_refused(classifier: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.zeros((0, 1, 4, 4), np.float32))

    with pytest.raises(UserError, match=r"contains no samples for 'image': its shape is \(0, 1, 4, 4\)"):
        run(classifier, input=[tmp_path / "none.npy"])


def test_a_wav_file_becomes_a_label(loud: Path, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.full(8, 30_000, "<i2").tobytes())

    found = run(loud, input=[tmp_path / "a.wav"], output=tmp_path / "label.txt")

    assert found.answers[0].scores[0].label == "noise"
    assert (tmp_path / "label.txt").read_text() == "noise\n"


def test_a_csv_becomes_a_forecast_as_csv(forecaster: Path, tmp_path: Path) -> None:
    (tmp_path / "hours.csv").write_text("date,OT\na,1\nb,2\nc,3\nd,4\n")

    found = run(forecaster, input=[tmp_path / "hours.csv"], output=tmp_path / "next.csv")

    assert found.answers[0].curve is not None
    assert found.answers[0].curve.values == (12.0, 13.0, 14.0)
    rows = [line.split(",")[1:] for line in (tmp_path / "next.csv").read_text().splitlines()]
    assert rows == [["seconds", "OT"], ["0.0", "12.0"], ["3600.0", "13.0"], ["7200.0", "14.0"]]


def test_noise_becomes_a_png_of_all_images(painter: Path, tmp_path: Path) -> None:
    found = run(painter, input=["random:0", "random:1", "random:0"], output=tmp_path / "made.png")

    assert found.answers[0].image == (2, 2)
    with Image.open(tmp_path / "made.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (2, 6)
    assert np.array_equal(pixels[:, :2], pixels[:, 4:])
    assert not np.array_equal(pixels[:, :2], pixels[:, 2:4])


@pytest.mark.parametrize("text", ["Good film", "good film"])
def test_a_sentence_becomes_a_sentence(translator: Path, tmp_path: Path, text: str) -> None:
    found = run(translator, input=[text, "bad"], output=tmp_path / "said.txt")

    assert [answer.text for answer in found.answers] == ["good film", "bad"]
    assert (tmp_path / "said.txt").read_text() == "good film\nbad\n"
    assert found.answers[0].outputs == {"tokens": [[4, 6, 3]]}


def test_a_sentence_in_a_file_is_the_same(translator: Path, tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("good film")

    assert run(translator, input=[tmp_path / "said.txt"]).answers[0].text == "good film"


def test_a_missing_text_file_is_no_sentence(translator: Path) -> None:
    with pytest.raises(UserError, match=r"Input file 'gone\.txt' does not exist"):
        run(translator, input=["gone.txt"])


def test_every_output_fits_npz_and_the_whole_answer_json(forecaster: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1, 2, 3], np.float32))
    found = run(forecaster, input=[tmp_path / "x.npy"], output=tmp_path / "all.npz")
    run(forecaster, input=[tmp_path / "x.npy"], output=tmp_path / "all.json")

    with np.load(tmp_path / "all.npz") as arrays:
        assert arrays["forecast"].tolist() == [[11.0, 12.0, 13.0]]
    assert json.loads((tmp_path / "all.json").read_text())["answers"][0]["outputs"] == found.answers[0].outputs


@pytest.mark.parametrize("name", ["a.png", "a.txt", "a.pdf"])
def test_a_file_that_cannot_hold_the_answer_is_refused_before_any_work(forecaster: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"expected \.csv, \.json, \.npz"):
        run(forecaster, input=["gone.csv"], output=name)


@pytest.mark.parametrize("text", ["random:-1", "random:", "sample:x"])
def test_a_number_that_is_none_is_refused(forecaster: Path, text: str) -> None:
    with pytest.raises(UserError, match="expected"):
        run(forecaster, input=[text])
