"""Damaging the artifacts of a bundle on purpose, so that validation and bisecting have something to find."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import numpy_helper

from edgekit.core.bundle import Bundle, write_manifest
from edgekit.core.system.files import sha256_file
from edgekit.export.tflite.compact import module_of

Damage = Callable[[Path], None]


def damaged(bundle: Path, out: Path, recipe: str, damage: Damage) -> Path:
    """A copy of `bundle` whose artifact of `recipe` was changed, with hashes that fit."""
    shutil.copytree(bundle, out)
    with Bundle.open(out) as opened:
        artifact, manifest = opened.artifact(recipe), opened.manifest
    path = out / artifact.file
    damage(path)
    changed = msgspec.structs.replace(artifact, sha256=sha256_file(path), size_bytes=path.stat().st_size)
    artifacts = tuple(changed if one.recipe == artifact.recipe else one for one in manifest.artifacts)
    write_manifest(out, msgspec.structs.replace(manifest, artifacts=artifacts))
    return out


def onnx_weight(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Change the initializer called `name`."""

    def damage(path: Path) -> None:
        model = onnx.load(path)
        one = next(one for one in model.graph.initializer if one.name == name)
        one.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(one))), name))
        onnx.save(model, path)

    return damage


def onnx_without(output: str) -> Damage:
    """Take out the node that writes `output`; its readers get what it read."""

    def damage(path: Path) -> None:
        model = onnx.load(path)
        node = next(one for one in model.graph.node if output in one.output)
        for other in model.graph.node:
            other.input[:] = [node.input[0] if name == output else name for name in other.input]
        model.graph.node.remove(node)
        onnx.save(model, path)

    return damage


def onnx_fixed(axis: int, size: int) -> Damage:
    """Fix an axis of the first input."""

    def damage(path: Path) -> None:
        model = onnx.load(path)
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
        onnx.save(model, path)

    return damage


def tflite(change: Callable[[Any], None]) -> Damage:
    """Change the schema's object of the file."""

    def damage(path: Path) -> None:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        change(model)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))

    return damage


def tflite_weight(part: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Change the float32 weights that the convolution of module `part` reads."""

    def damage(model: Any) -> None:
        graph = model.subgraphs[0]
        operator = operator_of(model, part)
        tensor = graph.tensors[operator.inputs[1]]
        buffer = model.buffers[tensor.buffer]
        array = np.frombuffer(bytes(buffer.data), np.float32).reshape(tensor.shape)
        buffer.data = np.frombuffer(np.ascontiguousarray(change(array), np.float32).tobytes(), np.uint8)

    return tflite(damage)


def operator_of(model: Any, part: str, subgraph: int = 0) -> Any:
    """The operator with weights whose result carries the name of module `part`."""
    graph = model.subgraphs[subgraph]
    return next(one for one in graph.operators if len(one.inputs) == 3 and module_of(_name(graph, one)) == part)


def _name(graph: Any, operator: Any) -> str:
    return str(graph.tensors[operator.outputs[0]].name.decode())
