"""Bundles of one ONNX graph each, one for every kind of input and output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.bundle import Artifact, Manifest, write_manifest
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, SeriesInput, TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import ImageOutput, SeriesOutput, TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_file

WORDS = ("<pad>", "<unk>", "<s>", "</s>", "good", "bad", "film")
_TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


def bundle(folder: Path, spec: ModelSpec, nodes: Sequence[Any], **constants: np.ndarray[Any, Any]) -> Path:
    """A bundle with one ONNX graph of these nodes."""
    folder.mkdir()
    graph = helper.make_graph(
        list(nodes),
        spec.name,
        [helper.make_tensor_value_info(one.name, _TYPES[one.dtype], list(one.shape)) for one in spec.inputs],
        [helper.make_tensor_value_info(one.name, _TYPES[one.dtype], list(one.shape)) for one in spec.outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    file = folder / "onnx-fp32.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    digest, size = sha256_file(file), file.stat().st_size
    artifact = Artifact(
        "onnx-fp32", file.name, "onnx", "fp32", size, digest, digest, spec.inputs, spec.outputs, opset=18
    )
    write_manifest(folder, Manifest(spec, (artifact,), {}, created="2026-01-01T00:00:00+00:00"))
    return folder


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """Light or dark, of an image; the mean decides."""
    spec = ModelSpec(
        "light",
        "classification",
        (TensorSpec("image", "float32", ("N", 1, 4, 4)),),
        (TensorSpec("logits", "float32", ("N", 2)),),
        labels=("dark", "light"),
        preprocessing=ImageInput(4, 4, 1),
    )
    weights = np.stack([np.full(16, -1.0), np.full(16, 1.0)], 1).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["logits"])]
    return bundle(tmp_path / "light", spec, nodes, w=weights)


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    """Silence or noise, of a wav file."""
    spec = ModelSpec(
        "loud",
        "classification",
        (TensorSpec("audio", "float32", ("N", 8)),),
        (TensorSpec("logits", "float32", ("N", 2)),),
        labels=("silence", "noise"),
        preprocessing=AudioInput(16_000, 8),
    )
    weights = np.stack([np.zeros(8), np.ones(8)], 1).astype(np.float32)
    bias = np.array([0.5, 0.0], np.float32)
    nodes = [
        helper.make_node("Abs", ["audio"], ["level"]),
        helper.make_node("MatMul", ["level", "w"], ["sum"]),
        helper.make_node("Add", ["sum", "b"], ["logits"]),
    ]
    return bundle(tmp_path / "loud", spec, nodes, w=weights, b=bias)


@pytest.fixture
def forecaster(tmp_path: Path) -> Path:
    """Tomorrow is as today and ten more."""
    spec = ModelSpec(
        "more",
        "regression",
        (TensorSpec("history", "float32", ("N", 3)),),
        (TensorSpec("forecast", "float32", ("N", 3)),),
        preprocessing=SeriesInput(("OT",), 3),
        postprocessing=SeriesOutput("OT", 3600.0),
    )
    return bundle(
        tmp_path / "more",
        spec,
        [helper.make_node("Add", ["history", "ten"], ["forecast"])],
        ten=np.array([10.0], np.float32),
    )


@pytest.fixture
def painter(tmp_path: Path) -> Path:
    """An image of noise."""
    spec = ModelSpec(
        "paint",
        "image generation",
        (TensorSpec("noise", "float32", ("N", 1, 2, 2)),),
        (TensorSpec("image", "float32", ("N", 1, 2, 2)),),
        postprocessing=ImageOutput(),
    )
    return bundle(tmp_path / "paint", spec, [helper.make_node("Sigmoid", ["noise"], ["image"])])


@pytest.fixture
def translator(tmp_path: Path) -> Path:
    """Says the next word of the source after every word: one look-up of what stands at each place."""
    spec = ModelSpec(
        "repeat",
        "translation",
        (TensorSpec("source", "int64", ("N", "S")), TensorSpec("written", "int64", ("N", "T"))),
        (TensorSpec("logits", "float32", ("N", "T", len(WORDS))),),
        preprocessing=TextInput(WORDS, 9, end=3, written="written", begin=2),
        postprocessing=TextOutput(WORDS, 3, 9),
    )
    nodes = [
        helper.make_node("Shape", ["written"], ["size"], start=1),
        helper.make_node("Slice", ["source", "zero", "size", "one"], ["heard"]),
        helper.make_node("Gather", ["table", "heard"], ["logits"]),
    ]
    constants = {"zero": np.array([0]), "one": np.array([1]), "table": np.eye(len(WORDS), dtype=np.float32)}
    return bundle(tmp_path / "repeat", spec, nodes, **constants)
