"""Faults planted into artifacts: validation finds each by default, and bisecting names the tensor."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.flows import planting
from tests.flows.planting import Damage, damaged, onnx_fixed, onnx_weight, onnx_without, tflite, tflite_weight

import edgekit
from edgekit.core.errors import UserError
from edgekit.core.verdict import Verdict
from edgekit.flows.bisect import ModuleOptions, bisect
from edgekit.flows.opening.source import SourceOptions

pytestmark = pytest.mark.slow

NETS = Path(__file__).parent / "nets" / "planted.py"


def module_in(folder: Path, factory: str = "residual") -> ModuleOptions:
    """Where the module of a bundle in this folder is."""
    return ModuleOptions(f"{folder}/planted.py:{factory}")


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound bundle of the residual network in four recipes, on real images."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("residual")
    shutil.copy(NETS, folder)
    images, labels = load_digits(return_X_y=True)
    few = np.flatnonzero(labels < 3)[:240]
    np.savez(folder / "samples.npz", x=(images[few] / 16).astype(np.float32).reshape(-1, 1, 8, 8), label=labels[few])
    options = SourceOptions(samples=folder / "samples.npz", calibration=64)
    report = edgekit.export_model(f"{folder}/planted.py:residual", out=folder / "bundle", options=options)
    assert report.verdict is Verdict.PASS
    return folder / "bundle"


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound bundle of the LSTM at lengths 4 and 8."""
    folder = tmp_path_factory.mktemp("recurrent")
    shutil.copy(NETS, folder)
    rows = np.random.default_rng(0).normal(size=(64, 8, 6)).astype(np.float32)
    np.savez(folder / "samples.npz", x=rows)
    options = SourceOptions(samples=folder / "samples.npz", inputs=("x:float32[N,T,6]",), sizes=("T=4,8",))
    report = edgekit.export_model(
        f"{folder}/planted.py:recurrent", out=folder / "bundle", to="onnx-fp32,tflite-fp32", options=options
    )
    assert report.verdict is Verdict.PASS
    return folder / "bundle"


@dataclass(frozen=True)
class Fault:
    """What is planted into the artifact of `recipe`, and what bisecting from `against` must name first."""

    name: str
    recipe: str
    damage: Damage
    against: str
    module: str
    missing: str = ""


def scaled(weight: np.ndarray) -> np.ndarray:
    return weight * np.float32(1.05)


def tenfold(scale: np.ndarray) -> np.ndarray:
    return scale * np.float32(10)


def tenth(scale: np.ndarray) -> np.ndarray:
    return scale / np.float32(10)


def turned(weight: np.ndarray) -> np.ndarray:
    """Height and width the other way round."""
    return weight.swapaxes(-1, -2) if weight.shape[-1] == 3 else weight.swapaxes(1, 2)


def without_activation(part: str) -> Damage:
    def change(model: Any) -> None:
        planting.operator_of(model, part).builtinOptions.fusedActivationFunction = 0

    return tflite(change)


def ten_times(part: str, place: int) -> Damage:
    """The scale of a tensor that the operator of `part` reads: 0 its input, with which its bias goes, 1 its weights."""

    def change(model: Any) -> None:
        operator = planting.operator_of(model, part)
        tensors = model.subgraphs[0].tensors
        for index in [operator.inputs[place], *([operator.inputs[2]] if place == 0 else [])]:
            tensors[index].quantization.scale = np.asarray(tensors[index].quantization.scale, np.float32) * 10
        if place == 0:
            buffer = model.buffers[tensors[operator.inputs[2]].buffer]
            bias = np.frombuffer(bytes(buffer.data), np.int32)
            buffer.data = np.frombuffer(np.rint(bias / 10).astype(np.int32).tobytes(), np.uint8)

    return tflite(change)


WEIGHT = "{}.weight"
FAULTS = [
    *(
        Fault(f"{name}, {part}, onnx", "onnx-fp32", onnx_weight(WEIGHT.format(part), change), "torch", part)
        for name, change in (("scaled", scaled), ("transposed", turned))
        for part in ("stem.0", "left", "short", "last")
        if (name, part) != ("transposed", "short")
    ),
    *(
        Fault(f"{name}, {part}, tflite", "tflite-fp32", tflite_weight(part, change), against, part)
        for name, change in (("scaled", scaled), ("transposed", turned))
        for part, against in (("left", "torch"), ("last", "onnx-fp32"))
    ),
    Fault("scaled, head, onnx", "onnx-fp32", onnx_weight(WEIGHT.format("head"), scaled), "tflite-fp32", "head"),
    Fault("no activation, onnx", "onnx-fp32", onnx_without("relu_1"), "torch", "right", missing="relu"),
    Fault("no layer, onnx", "onnx-fp32", onnx_without("conv2d_2"), "torch", "", missing="right/convolution"),
    Fault("no activation, tflite", "tflite-fp32", without_activation("left"), "onnx-fp32", "right", missing="relu_1"),
    Fault("weights x 10, onnx", "onnx-int8", onnx_weight("left.weight_scale", tenfold), "onnx-fp32", "left"),
    Fault("activation / 10, onnx", "onnx-int8", onnx_weight("relu_1_scale", tenth), "onnx-fp32", "left"),
    Fault("activation x 10, onnx", "onnx-int8", onnx_weight("relu_1_scale", tenfold), "onnx-fp32", "left"),
    Fault("weights x 10, tflite", "tflite-int8", ten_times("right", 1), "tflite-fp32", "right"),
    Fault("activation x 10, tflite", "tflite-int8", ten_times("right", 0), "tflite-fp32", "left"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_caught_and_its_tensor_named(fault: Fault, residual: Path, tmp_path: Path) -> None:
    bundle = damaged(residual, tmp_path / "bundle", fault.recipe, fault.damage)
    shutil.copy(NETS, tmp_path)

    report = edgekit.validate(bundle, artifact=[fault.recipe])
    result = bisect(bundle, fault.against, fault.recipe, module=module_in(tmp_path))

    assert report.verdict is Verdict.FAIL
    assert result.first is not None
    # The normalization behind the stem is part of its convolution in every file.
    assert result.aligned[result.first].module.replace("stem.1", "stem.0") == fault.module
    assert result.missing == ((fault.missing,) if fault.missing else ())


def test_a_frozen_batch_axis_is_caught_and_named(residual: Path, tmp_path: Path) -> None:
    bundle = damaged(residual, tmp_path / "bundle", "onnx-fp32", onnx_fixed(axis=0, size=1))

    report = edgekit.validate(bundle, artifact=["onnx-fp32"])
    result = bisect(bundle, "tflite-fp32", "onnx-fp32")

    assert report.verdict is Verdict.FAIL
    assert result.refused is not None
    assert (result.refused.side, result.refused.tensor) == ("onnx-fp32", "x")
    assert "axis 0 is fixed at 1" in result.refused.reason


def test_a_batch_frozen_inside_is_found_where_it_stops(residual: Path, tmp_path: Path) -> None:
    bundle = damaged(residual, tmp_path / "bundle", "onnx-fp32", onnx_weight("val_14", lambda _: np.array([1, 128])))

    report = edgekit.validate(bundle, artifact=["onnx-fp32"])
    result = bisect(bundle, "tflite-fp32", "onnx-fp32")

    assert report.verdict is Verdict.FAIL
    assert result.refused is not None
    assert (result.refused.tensor, result.refused.operator) == ("view", "Reshape")


def test_a_recurrent_net_exported_at_one_length_is_caught_and_named(recurrent: Path, tmp_path: Path) -> None:
    bundle = damaged(recurrent, tmp_path / "bundle", "onnx-fp32", onnx_fixed(axis=1, size=8))

    report = edgekit.validate(bundle, artifact=["onnx-fp32"])
    result = bisect(bundle, "torch", "onnx-fp32", module=module_in(recurrent.parent, "recurrent"))

    assert report.verdict is Verdict.FAIL
    assert result.refused is not None
    assert (result.refused.tensor, result.refused.reason.partition(" is")[0]) == ("x", "axis 1")


def test_a_recurrent_net_without_one_of_its_lengths_is_caught_and_named(recurrent: Path, tmp_path: Path) -> None:
    def lose_one(model: Any) -> None:
        model.signatureDefs = [one for one in model.signatureDefs if b"T8" not in one.signatureKey]

    bundle = damaged(recurrent, tmp_path / "bundle", "tflite-fp32", tflite(lose_one))

    report = edgekit.validate(bundle, artifact=["tflite-fp32"])
    result = bisect(bundle, "onnx-fp32", "tflite-fp32")

    assert report.verdict is Verdict.FAIL
    assert result.refused is not None
    assert (result.refused.side, result.refused.tensor) == ("tflite-fp32", "x")
    assert result.refused.reason == "the file has no signature 'N1_T8'; it has N1_T4"


def test_sound_graphs_of_every_kind_agree(recurrent: Path, residual: Path) -> None:
    found = [
        bisect(residual, "torch", "tflite-fp32", module=module_in(residual.parent)),
        bisect(residual, "onnx-fp32", "tflite-int8"),
        bisect(residual, "tflite-fp32", "onnx-int8"),
        bisect(recurrent, "torch", "onnx-fp32", module=module_in(recurrent.parent, "recurrent")),
        bisect(recurrent, "onnx-fp32", "tflite-fp32"),
    ]

    assert [(one.first, one.refused) for one in found] == [(None, None)] * 5
    assert all(len(one.aligned) >= 3 for one in found)


def test_a_module_of_other_weights_is_refused(residual: Path) -> None:
    with pytest.raises(UserError, match="are not those the bundle was made from"):
        bisect(residual, "torch", "onnx-fp32", module=ModuleOptions(f"{residual.parent}/planted.py:Residual"))


def test_a_bare_float_file_must_be_as_near_as_float32(residual: Path, tmp_path: Path) -> None:
    bundle = damaged(residual, tmp_path / "bundle", "onnx-fp32", onnx_weight("left.weight", lambda old: old * 1.01))

    found = edgekit.validate(bundle / "onnx-fp32.onnx", reference=residual)

    assert found.verdict is Verdict.FAIL
    assert {check.kind for check in found.parity} == {"difference"}
    assert edgekit.validate(residual / "onnx-fp32.onnx", reference=residual).verdict is Verdict.PASS
    (quantized,) = residual.glob("tflite-int8*.tflite")
    assert edgekit.validate(quantized, reference=residual).verdict is Verdict.PASS
