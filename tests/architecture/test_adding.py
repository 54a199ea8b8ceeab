"""Adding something is one file (or folder) and one row: each test adds one, and uses it through a command.

A format has a test of its own, as it has a folder: tests/export/test_formats.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.cli.conftest import write_bundle
from tests.flows.scripted import fake_model
from tests.train.test_tutorial import BLOCKS

from edgekit.cli.main import run
from edgekit.core.bundle import Bundle, write_manifest
from edgekit.core.samples import Array, Samples
from edgekit.core.spec.metric import MODEL_METRICS, Metric, MetricTraits
from edgekit.core.system.registry import Plugin, Registry
from edgekit.devices.device import DEVICES
from edgekit.runtime.backend import BACKENDS
from edgekit.train.registry import MODELS

Edgekit = Callable[..., Any]

BACKEND = """
from edgekit.runtime.backends.fake import FakeBackend

class Toy(FakeBackend):
    name = "toy"

    def check(self):
        return "toy 1"
"""
DEVICE = """
from edgekit.core.facts import Facts
from edgekit.devices.fake import FakeDevice

class Toy(FakeDevice):
    name = "toy"

    def facts(self):
        return Facts(cpu="toy board")
"""
METRIC = """
import numpy as np

def in_first_two(scores, labels):
    return (np.argsort(scores, axis=1)[:, -2:] == labels[:, None]).any(axis=1)

def largest_error(answers, targets):
    return np.abs(answers - targets).max(axis=1).astype(np.float64)
"""


@pytest.fixture
def edgekit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Edgekit:
    """The JSON document of a command, run in an empty home where new modules can be imported."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def call(*words: str) -> Any:
        code = run([*words, "--json"])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return json.loads(printed.out)

    return call


def add(monkeypatch: pytest.MonkeyPatch, table: Any, name: str, row: object) -> None:
    """One more row, for one test."""
    monkeypatch.setitem(table, name, row)


def register(monkeypatch: pytest.MonkeyPatch, registry: Registry, name: str, row: tuple[str, str]) -> None:
    """One more row of a registry, for one test; another one may have listed its names before."""
    known = registry.plugins  # kept from here on: without the new row, which must not stay
    add(monkeypatch, registry.table, name, row)
    monkeypatch.setitem(vars(registry), "plugins", {**known, name: Plugin(name, *row)})


def test_a_backend(edgekit: Edgekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_backend.py").write_text(BACKEND, encoding="utf-8")
    register(monkeypatch, BACKENDS, "toy", ("toy_backend:Toy", "answers like the fake backend"))
    fake_model(tmp_path / "net.fake.json")

    found = edgekit("run", "net.fake.json", "--target", "local/toy", "--input", "random:1")
    listed = edgekit("list", "backends")

    assert found["target"] == "local/toy"
    assert len(found["answers"]) == 1
    assert "toy" in [row["name"] for row in listed["items"]]


def test_a_device(edgekit: Edgekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_device.py").write_text(DEVICE, encoding="utf-8")
    register(monkeypatch, DEVICES, "toy", ("toy_device:Toy", "a board that is not there"))
    fake_model(tmp_path / "net.fake.json")

    found = edgekit("profile", "net.fake.json", "--target", "toy", "--launches", "1")

    assert found["facts"]["toy"]["cpu"] == "toy board"
    assert [row["target"] for row in found["latency"]] == ["toy"]


@pytest.mark.slow
def test_a_model(edgekit: Edgekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_wine.py").write_text("\n".join(BLOCKS[:-1]), encoding="utf-8")
    register(monkeypatch, MODELS, "wine", ("toy_wine:MODEL", "the network of docs/tutorial-model.md"))

    found = edgekit("train", "wine", "--set", "epochs=2", "--out", "made")

    assert found["model"] == "wine"
    assert found["quality"]["n"] > 0


@pytest.mark.parametrize(
    ("metric", "traits"),
    [
        ("top2", MetricTraits("ratio", True, "toy_metric:in_first_two")),
        ("largest", MetricTraits("1", False, "toy_metric:largest_error")),
    ],
)
def test_a_metric(
    metric: str, traits: MetricTraits, edgekit: Edgekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy_metric.py").write_text(METRIC, encoding="utf-8")
    add(monkeypatch, MODEL_METRICS, metric, traits)
    judged_by(tmp_path / "bundle", metric, classes=traits.unit == "ratio")

    (found,) = edgekit("validate", "bundle")["accuracy"]

    assert found["metric"] == metric
    assert found["drop"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["quality"]["low"] <= found["quality"]["value"] <= found["quality"]["high"]
    assert found["quality"]["value"] > 0


def judged_by(folder: Path, metric: str, *, classes: bool) -> None:
    """A bundle whose model has this metric, with samples that have classes or real numbers to reach."""
    chance = np.random.default_rng(0)
    images = chance.normal(size=(40, 1, 8, 8)).astype(np.float32)
    numbers: dict[str, Array] = {} if classes else {"output": chance.normal(size=(40, 3)).astype(np.float32)}
    write_bundle(folder, Samples({"x": images}, np.arange(40) % 3 if classes else None, targets=numbers))
    with Bundle.open(folder) as bundle:
        manifest = bundle.manifest
    spec = msgspec.structs.replace(manifest.spec, metric=Metric(metric))
    write_manifest(folder, msgspec.structs.replace(manifest, spec=spec))
