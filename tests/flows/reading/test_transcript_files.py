"""Texts of images and sounds, from a csv next to them and from a .json with the alphabet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.flows.reading.test_sample_files import HOW, VALUES, listed

from edgekit.core.errors import UserError
from edgekit.core.samples import TARGET, Feed, write_arrays
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.flows.reading.held import Held
from edgekit.flows.reading.sample_files import read_described, read_held
from edgekit.flows.reading.user_samples import UserModel, completed, with_samples
from edgekit.runtime.tasks.transcripts import TEXT, true_texts

SPEC = ModelSpec("net", "other", (TensorSpec("image", "float32", ("N", 3, 4, 4)),))
TEXTS = ["one line", "zwei", "", "été", "1, 2", "five"]


def described(held: Held) -> UserModel:
    return with_samples(SPEC, held)


@pytest.mark.parametrize("column", ["text", "transcription", "sentence"])
def test_a_csv_names_the_text_of_each_file(column: str, tmp_path: Path) -> None:
    folder = listed(tmp_path, f"file_name,{column}", [f'"{text}"' for text in TEXTS])

    found = described(read_held(folder, HOW, ("<blank>", "e")))

    assert true_texts(found.samples) == TEXTS
    assert found.samples.inputs["image"][:, 0, 0, 0].tolist() == VALUES
    assert found.spec.labels == ("<blank>", "e")
    spec = completed(found.spec, found.samples)
    assert (spec.task, spec.metric) == ("transcription", Metric("wer"))


def test_texts_of_one_word_each_are_judged_by_characters(tmp_path: Path) -> None:
    arrays: Feed = {"image": np.zeros((2, 3, 4, 4), np.float32), f"{TARGET}{TEXT}": np.array(["017", "23"])}
    write_arrays(tmp_path / "s.npz", arrays)

    found = described(read_held(tmp_path / "s.npz"))

    assert completed(found.spec, found.samples).metric == Metric("cer")


def test_a_column_of_labels_is_that_of_classes(tmp_path: Path) -> None:
    folder = listed(tmp_path, "file,label,text", [f"{place % 2},x" for place in range(6)])

    found = described(read_held(folder, HOW))

    assert found.samples.labels is not None
    assert not found.samples.targets


def test_a_json_contains_the_texts_and_the_alphabet(tmp_path: Path) -> None:
    listed(tmp_path, "file,text", TEXTS)
    table = tmp_path / "texts.json"
    texts = {f"{VALUES[2]}.png": "b a", f"{VALUES[0]}.png": "a"}
    table.write_text(json.dumps({"alphabet": ["<blank>", "<space>", "a", "b"], "texts": texts}), encoding="utf-8")

    found = described(read_described(tmp_path, table, HOW))

    assert true_texts(found.samples) == ["b a", "a"]
    assert found.samples.inputs["image"][:, 0, 0, 0].tolist() == [VALUES[2], VALUES[0]]
    assert found.spec.labels == ("<blank>", "<space>", "a", "b")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"texts": {"../10.png": "a"}}, "There is no file '../10.png'"),
        ({"texts": {"99.png": "a"}}, "There is no file '99.png'"),
        ({"texts": {"10.png": 3}}, "does not contain texts of files"),
        ({"texts": {}}, "contains no texts"),
        ({"images": []}, "COCO"),
    ],
)
def test_what_is_wrong_with_a_json_is_said(content: dict[str, object], said: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    folder = listed(tmp_path / "in", "file,text", TEXTS)
    (tmp_path / "10.png").write_bytes((folder / "10.png").read_bytes())
    table = tmp_path / "texts.json"
    table.write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(UserError, match=said):
        read_described(folder, table, HOW)
