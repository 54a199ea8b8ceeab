"""A .tflite file written anew answers as before, with short names, aligned data, and equal scales stored once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgekit.export.tflite.compact import compact, module_of
from edgekit.runtime.backends.litert import LiteRT

DATA = Path(__file__).parents[2] / "runtime" / "data"
FEED = {"x": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)}
LONG = "my.Named/pkg.Net_module/torch.nn.Sequential_body/torch.nn.Linear_3;1"


def load(path: Path) -> Any:
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def names(path: Path) -> list[str]:
    return [tensor.name.decode() for graph in load(path).subgraphs for tensor in graph.tensors]


def save(model: Any, path: Path) -> Path:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


@pytest.fixture
def long_names(tmp_path: Path) -> Path:
    """The linear network with names as the converter gives them."""
    model = load(DATA / "linear.tflite")
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = LONG.encode()
    return save(model, tmp_path / "long.tflite")


def answers(path: Path) -> list[np.ndarray]:
    with LiteRT().open(path, {}) as session:
        return list(session.run(FEED).values())


@pytest.mark.parametrize(
    ("name", "module"),
    [
        (LONG, "body.3"),
        (f"other.Thing/a.B_first;1;;{LONG}", "body.3"),
        ("body.3;7", "body.3"),
        ("body.3;7_quantized", "body.3"),
        ("serving_default_x:0", ""),
        ("arith.constant1", ""),
    ],
)
def test_the_module_is_read_from_long_and_short_names(name: str, module: str) -> None:
    assert module_of(name) == module


def test_tensors_are_called_by_module_and_number(long_names: Path) -> None:
    before, size = answers(long_names), long_names.stat().st_size

    compact(long_names, rename=True)

    found = names(long_names)
    assert found == [f"body.3;{number}" for number in range(1, len(found) + 1)]
    assert long_names.stat().st_size < size
    for was, now in zip(before, answers(long_names), strict=True):
        np.testing.assert_array_equal(was, now)


def test_names_of_others_are_kept(long_names: Path) -> None:
    before = names(long_names)

    compact(long_names)

    assert names(long_names) == before


def test_equal_scales_are_stored_once(tmp_path: Path) -> None:
    model = load(DATA / "quantized.tflite")
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    for tensor in tensors:
        scales = np.linspace(1, 2, 500, dtype=np.float32)
        tensor.quantization = schema.QuantizationParametersT(scale=scales, zeroPoint=np.zeros(500, np.int64))
    path = save(model, tmp_path / "a.tflite")
    size = path.stat().st_size

    compact(path)

    assert len(tensors) >= 2
    assert size - path.stat().st_size >= (len(tensors) - 1) * 500 * 12
    assert all(len(one.quantization.scale) == 500 for graph in load(path).subgraphs for one in graph.tensors)


def test_a_quantized_file_answers_as_before(tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    shutil.copy(DATA / "quantized.tflite", path)
    with LiteRT().open(path, {}) as session:
        sizes = {axis: 2 for one in session.inputs for axis in one.free_axes}
        feed = {one.name: np.zeros(one.concrete(sizes), one.dtype) for one in session.inputs}
        before = session.run(feed)

    compact(path)

    with LiteRT().open(path, {}) as session:
        after = session.run(feed)
    assert before
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


def test_data_is_aligned_as_the_schema_asks(long_names: Path) -> None:
    compact(long_names, rename=True)

    content = long_names.read_bytes()
    weights = [bytes(one.data) for one in load(long_names).buffers if one.data is not None and len(one.data) >= 8]
    assert weights
    assert [content.index(data) % 16 for data in weights] == [0] * len(weights)
