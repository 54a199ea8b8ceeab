"""`hf:PATH_OR_NAME`: transformers says what a model takes, and nothing is downloaded without a word."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.flows.opening import hugging_face_models
from tests.flows.opening.hub import Hub, hub_of

from edgekit.core.errors import EnvironmentFault, Refused, UserError
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.system.progress import Silent
from edgekit.core.system.settings import Settings
from edgekit.flows.export import export
from edgekit.flows.opening.source import SourceOptions, open_source

pytestmark = pytest.mark.slow
SETTINGS = Settings(trust="transformers")
CLASSES = ("negative", "positive")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, hugging_face_models.__file__, folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def reviews(tmp_path: Path, models: Path) -> Path:
    """The texts with the classes that transformers gives them."""
    with np.load(models / "expected.npz") as expected:
        said = expected["classes"]
    with (tmp_path / "reviews.csv").open("w", newline="") as file:
        rows = zip(range(100, 105), hugging_face_models.TEXTS, (CLASSES[one] for one in said), strict=True)
        csv.writer(file).writerows([("id", "text", "label"), *rows])
    return tmp_path / "reviews.csv"


def test_texts_become_what_the_tokenizer_makes_of_them(models: Path, reviews: Path) -> None:
    source = open_source(f"hf:{models / 'reader'}", SourceOptions(samples=reviews, calibration=1), SETTINGS)

    parts = source.split.calibration, source.split.evaluation
    expected = np.load(models / "expected.npz")
    assert [tensor.name for tensor in source.spec.inputs] == ["input_ids", "token_type_ids", "attention_mask"]
    for tensor in source.spec.inputs:
        found = np.concatenate([part.inputs[tensor.name] for part in parts])
        assert sorted(found.tolist()) == sorted(expected[tensor.name].tolist())
    assert source.spec.labels == CLASSES
    assert source.spec.task == "classification"
    assert source.facts["factory"].startswith("transformers:BertForSequenceClassification.from_pretrained(")


def test_the_size_of_an_input_is_the_number_of_tokens(models: Path, reviews: Path) -> None:
    inputs = tuple(f"{name}:int64[N,8]" for name in ("input_ids", "token_type_ids", "attention_mask"))

    source = open_source(f"hf:{models / 'reader'}", SourceOptions(samples=reviews, inputs=inputs), SETTINGS)

    assert source.split.evaluation.inputs["input_ids"].shape[1:] == (8,)


def test_an_exported_classifier_is_as_accurate_as_transformers(models: Path, reviews: Path, tmp_path: Path) -> None:
    options = SourceOptions(samples=reviews, calibration=1)

    report = export(f"hf:{models / 'reader'}", out=tmp_path / "out", to="onnx-fp32", options=options, settings=SETTINGS)

    assert report.spec is not None
    assert not report.spec.is_untrained
    assert [check.verdict for check in report.parity] == ["pass"] * len(report.parity)
    (accuracy,) = report.accuracy
    assert (accuracy.reference.value, accuracy.quality.value) == (1.0, 1.0)


def test_an_image_processor_is_the_preprocessing(models: Path) -> None:
    source = open_source(f"hf:{models / 'viewer'}", SourceOptions(), SETTINGS)

    assert source.spec.preprocessing == ImageInput(16, 16, 3, (0.5,) * 3, (0.5,) * 3)
    assert [str(tensor) for tensor in source.spec.inputs] == ["image:float32[N,3,16,16]"]
    assert source.spec.labels == ()


def test_code_from_a_repository_of_models_is_not_executed(models: Path) -> None:
    with pytest.raises(UserError, match="its class 'Odd' is not part of transformers"):
        open_source(f"hf:{models / 'odd'}", SourceOptions(), SETTINGS)

    assert not (models / "odd" / "ran").exists()


def test_a_large_language_model_is_refused_before_it_has_weights(models: Path) -> None:
    with pytest.raises(Refused, match=r"6\.7 billion parameters, is refused: edgekit copies the cache") as refused:
        open_source(f"hf:{models / 'novelist'}", SourceOptions(), SETTINGS)

    assert (refused.value.code, refused.value.hint) == ("language-model", "docs/llm.md says which tools run it.")
    assert [one.name for one in (models / "novelist").iterdir()] == ["config.json"]


def test_a_small_one_is_exported_as_one_call_and_says_so(models: Path) -> None:
    source = open_source(f"hf:{models / 'writer'}", SourceOptions(inputs=("input_ids:int64[N,8]",)), SETTINGS)

    assert "use_cache=False" in source.facts["factory"]
    assert any("exported without a cache" in text for text in source.warnings)


@pytest.mark.parametrize("name", ["./nothing", "/nothing/here", "a/b/c", ""])
def test_a_folder_that_is_not_there_is_not_looked_up_on_the_hub(name: str) -> None:
    with pytest.raises(UserError, match=r"There is no folder|does not name"):
        open_source(f"hf:{name}", SourceOptions(), SETTINGS)


class Heard(Silent):
    """Keeps titles of stages, and what the hub had been asked for when each began."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.titles: list[tuple[str, int]] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        self.titles.append((title, len(self.hub.asked)))
        yield


@pytest.fixture
def hub(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    shutil.copytree(models / "reader", tmp_path / "hub" / "me" / "reader")
    with hub_of(tmp_path / "hub") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield hub


def test_each_download_is_said_before_it_starts_and_none_follows(hub: Hub, tmp_path: Path) -> None:
    heard, again = Heard(hub), Heard(hub)

    export("hf:me/reader", out=tmp_path / "first", to="onnx-fp32", progress=heard, settings=SETTINGS)
    asked = len(hub.asked)
    export("hf:me/reader", out=tmp_path / "second", to="onnx-fp32", progress=again, settings=SETTINGS)

    downloads = [(title, before) for title, before in heard.titles if "downloading" in title]
    assert [title for title, _ in downloads] == [
        f"downloading the description of 'me/reader' from {hub.address}",
        f"downloading the weights of 'me/reader' from {hub.address}",
    ]
    assert downloads[0][1] == 0
    assert not any("model.safetensors" in path for path in hub.asked[: downloads[1][1]])
    assert any("model.safetensors" in path for path in hub.asked[downloads[1][1] :])
    assert len(hub.asked) == asked
    assert not any("downloading" in title for title, _ in again.titles)


def test_offline_asks_for_nothing_and_names_the_command_that_gets_it(hub: Hub) -> None:
    with pytest.raises(EnvironmentFault, match=r"--offline forbids") as caught:
        open_source("hf:me/reader", SourceOptions(), Settings(offline=True, trust="transformers"))

    assert caught.value.hint == "hf download me/reader"
    assert not hub.asked


def test_a_name_that_the_hub_does_not_know_is_said(hub: Hub) -> None:
    with pytest.raises(EnvironmentFault, match="transformers cannot get 'me/nobody'"):
        open_source("hf:me/nobody", SourceOptions(), SETTINGS)

    assert hub.asked
