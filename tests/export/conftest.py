"""Requests, samples and exporters that the export tests share."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from edgekit.core.bundle import Artifact, Signature
from edgekit.core.recipe import Recipe, parse_recipes
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.conversion import export_artifacts
from edgekit.export.formats import FORMATS
from edgekit.export.messages import ModuleRef
from edgekit.export.request import ExportRequest, ExportResult
from edgekit.runtime.facts import read_facts

FOLDER = Path(__file__).parent
NETS = FOLDER / "nets"

# Files are judged by the backend of this machine: without VNNI it saturates at weights of 8 bits.
FEATURES = frozenset(read_facts().features)


def draw(tensor: TensorSpec, count: int, sizes: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    """`count` samples of one input: normal values, or token ids from 1 to 19."""
    shape = (count, *(sizes[axis] if isinstance(axis, str) else axis for axis in tensor.shape[1:]))
    if isinstance(tensor.shape[0], int):
        shape = (count, tensor.shape[0], *shape[1:])
    values = rng.normal(size=shape).clip(-2, 2) if "float" in tensor.dtype else rng.integers(1, 20, shape)
    return values.astype(tensor.dtype)


def samples_of(spec: ModelSpec, count: int, *, seed: int = 0, **sizes: int) -> Samples:
    """Random samples of a spec with these sizes."""
    rng = np.random.default_rng(seed)
    inputs: Feed = {tensor.name: draw(tensor, count, sizes, rng) for tensor in spec.inputs}
    return Samples(inputs)


def request_of(
    factory: str,
    inputs: str,
    recipes: str,
    *,
    task: str = "other",
    count: int = 64,
    file: str = "good.py",
    **sizes: int,
) -> ExportRequest:
    """A request for a net of `nets/`, with inputs as texts parted by blanks."""
    spec = ModelSpec(factory.lower(), task, tuple(TensorSpec.parse(text) for text in inputs.split()))
    return ExportRequest(
        module=ModuleRef(f"{NETS / file}:{factory}"),
        spec=spec,
        recipes=parse_recipes(recipes),
        calibration=samples_of(spec, 128, seed=1, **sizes),
        evaluation=samples_of(spec, count, seed=2, **sizes),
        cpu_features=FEATURES,
        timeout_s=300,
    )


@pytest.fixture
def static_int8() -> str:
    """The recipe that `onnx-int8-static` stands for on this machine."""
    return Recipe.parse("onnx-int8-static").resolve(frozenset({"Conv"}), FEATURES).name


@pytest.fixture
def dynamic_int8() -> str:
    """The recipe that `onnx-int8` stands for on this machine, for a graph of attention or an LSTM."""
    return Recipe.parse("onnx-int8").resolve(frozenset({"LSTM"}), FEATURES).name


class FunctionSession:
    """Answers with what `function` makes of the feed."""

    backend = "fake"
    provider = "cpu"
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def __init__(self, function: Callable[[Feed], Feed]) -> None:
        self.function = function

    def run(self, feed: Mapping[str, object]) -> Feed:
        return self.function({name: np.asarray(array) for name, array in feed.items()})

    def bind(self, feed: Mapping[str, object]) -> Callable[[], Feed]:
        return lambda: self.run(feed)

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def described(precision: str = "fp32", *signatures: Signature, kind: str = "onnx") -> Artifact:
    """An artifact of this precision, described just enough to be judged."""
    return Artifact(f"{kind}-{precision}", "file", kind, precision, 1, "", "", (), (), signatures=signatures)


Convert = Callable[[ExportRequest], ExportResult]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Export into `tmp_path/out`, with the cache that the whole test run shares."""
    cache = Path(os.environ["EDGEKIT_CACHE"]) / "conversions"
    return lambda request: export_artifacts(request, tmp_path / "out", cache=cache)


@pytest.fixture
def fake_exporters(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Puts an exporter of `fake_exporters.py` in the place of the real ONNX one; gives its location."""
    monkeypatch.setenv("PYTHONPATH", str(FOLDER), prepend=os.pathsep)

    def use(name: str) -> str:
        location = f"fake_exporters:{name}"
        monkeypatch.syspath_prepend(str(FOLDER))
        row = dataclasses.replace(FORMATS["onnx"], exporter=location, quantizer=location)
        monkeypatch.setitem(FORMATS, "onnx", row)
        return location

    return use


@pytest.fixture
def session() -> Callable[[Callable[[Feed], Feed]], FunctionSession]:
    """Makes a session of a function from feed to outputs."""
    return FunctionSession


@pytest.fixture
def artifact() -> Callable[..., Artifact]:
    """Makes an artifact of a precision, with signatures."""
    return described


@pytest.fixture
def request_for() -> Callable[..., ExportRequest]:
    """Makes a request for a net of `nets/`."""
    return request_of
