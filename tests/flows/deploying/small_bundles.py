"""Bundles of tiny classifiers, made by hand: an export takes seconds and is tested where it belongs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.core.bundle import CASES, SAMPLES, Artifact, Manifest, write_manifest
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.input_kinds import ArrayInput, AudioInput, ImageInput, Preprocessing
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_file
from edgekit.core.target import Target
from edgekit.export.checking.cases import Case, save_cases
from edgekit.flows.opening.artifacts import open_session, opened

ARRAYS = ArrayInput()
DATA = Path(__file__).parents[2] / "runtime" / "data"
LABELS = ("zero", "one", "two")


def small_bundle(
    folder: Path,
    how: Preprocessing = ARRAYS,
    *,
    labels: tuple[str, ...] = LABELS,
    name: str = "net",
    is_raw: bool = False,
    is_wrong: bool = False,
    external: str = "",
) -> Path:
    """A bundle of one .onnx: three scores that are sums of the input with drawn weights.

    `is_raw`: it takes pixels or the values of a wav file. `is_wrong`: the references are those of another network.
    `external`: the file that has the weights.
    """
    folder.mkdir(parents=True)
    shape, dtype = _input_of(how, is_raw)
    weights = np.random.default_rng(0).normal(size=(int(np.prod(shape)), 3)).astype(np.float32)
    file = folder / "onnx-fp32.onnx"
    _write_model(file, shape, dtype, weights, external)
    drawn = np.random.default_rng(1).uniform(0, 1 if dtype == "float32" else 200, (5, *shape)).astype(dtype)
    expected = drawn.reshape(5, -1).astype(np.float32) @ (weights[::-1] if is_wrong else weights)
    Samples({"x": drawn}, expected={"output": expected}).save(folder / SAMPLES)
    feeds = {"N=2": {"x": drawn[:2]}, "N=5": {"x": drawn}}
    cases = [
        Case(key, {"N": len(feed["x"])}, feed, {"output": expected[: len(feed["x"])]}) for key, feed in feeds.items()
    ]
    save_cases(folder / CASES, cases)
    inputs, outputs = (TensorSpec("x", dtype, ("N", *shape)),), (TensorSpec("output", "float32", ("N", 3)),)
    digest, size = sha256_file(file), file.stat().st_size
    artifact = Artifact("onnx-fp32", file.name, "onnx", "fp32", size, digest, digest, inputs, outputs, opset=18)
    spec = ModelSpec(name, "classification", inputs, outputs, labels=labels, preprocessing=how)
    write_manifest(folder, Manifest(spec, (artifact,), {}, created="2026-01-01T00:00:00+00:00"))
    return folder


def _input_of(how: Preprocessing, is_raw: bool) -> tuple[tuple[int, ...], str]:
    """Shape without the batch axis, and dtype."""
    if isinstance(how, ImageInput):
        return ((how.height, how.width, how.channels), "uint8") if is_raw else (how.shape, "float32")
    if isinstance(how, AudioInput):
        return (how.length,), "int16" if is_raw else "float32"
    return (1, 8, 8), "float32"


def _write_model(file: Path, shape: tuple[int, ...], dtype: str, weights: NDArray[np.float32], external: str) -> None:
    import onnx
    from onnx import helper, numpy_helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Cast", ["x"], ["real"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Flatten", ["real"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, ["N", *shape])],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, file, save_as_external_data=bool(external), location=external or None, size_threshold=0)


def tflite_bundle(folder: Path, file: str) -> Path:
    """A bundle of one of the .tflite files of `tests/runtime/data`, with what LiteRT gives for it as reference."""
    folder.mkdir(parents=True)
    source = DATA / file
    shutil.copyfile(source, folder / "tflite-fp32.tflite")
    with opened(source, with_samples=False) as found:
        inputs, outputs = found.spec.inputs, found.spec.outputs
        feeds: list[Feed] = [
            {
                one.name: np.random.default_rng(row).uniform(-1, 1, (1, *map(int, one.shape[1:]))).astype(np.float32)
                for one in inputs
            }
            for row in range(2)
        ]
        with open_session(found, found.artifacts[0], Target("local")) as session:
            given = [session.run(feed) for feed in feeds]
    # The rows of a model with a dynamic batch are joined, those of any other are stacked.
    join = np.concatenate if found.spec.batch_axis else np.stack
    joined = [{name: join([row[name] for row in rows]) for name in rows[0]} for rows in (feeds, given)]
    Samples(joined[0], expected=joined[1]).save(folder / SAMPLES)
    digest, size = sha256_file(source), source.stat().st_size
    precision = "int8" if "quantized" in file else "fp32"
    artifact = Artifact("tflite-fp32", "tflite-fp32.tflite", "tflite", precision, size, digest, digest, inputs, outputs)
    spec = ModelSpec("net", "other", inputs, outputs)
    write_manifest(folder, Manifest(spec, (artifact,), {}, created="2026-01-01T00:00:00+00:00"))
    return folder
