"""Joins of parts of different range at the outputs of an .onnx file, over the calibration samples."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.samples import Array, Feed
from edgekit.core.system.optional import need
from edgekit.export.graphs.joins import MixedJoin, Range, joins_at_outputs, mixed_joins
from edgekit.export.graphs.trace import Operation

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto

# A range that is eight times another is seen in a few samples.
_FEEDS: Final = 64


def mixed_joins_of(path: Path, feeds: Sequence[Feed]) -> tuple[MixedJoin, ...]:
    """The joins at outputs of a float32 file whose parts differ in range over `feeds`."""
    onnx = need("onnx", extra="export")
    model = onnx.load(str(path))
    operations = [Operation(one.op_type, tuple(one.input), tuple(one.output)) for one in model.graph.node]
    joins = joins_at_outputs(operations, {value.name for value in model.graph.output})
    if not joins:
        return ()
    parts = dict.fromkeys(name for join in joins for name in join.inputs)
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer if one.name in parts}
    read = [name for name in parts if name and name not in constants]
    ranges = _joined([constants, *_values(model, read, feeds)])
    return tuple(mixed_joins(operations, joins, ranges))


def _values(model: ModelProto, names: list[str], feeds: Sequence[Feed]) -> list[Mapping[str, Array]]:
    """These tensors for the first feeds."""
    if not names:
        return []
    onnx, ort = need("onnx", extra="export"), need("onnxruntime", extra="cpu")
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return [dict(zip(names, session.run(names, feed), strict=True)) for feed in itertools.islice(feeds, _FEEDS)]


def _joined(runs: Sequence[Mapping[str, Array]]) -> dict[str, Range]:
    """Smallest and largest value of every float tensor over all runs."""
    found: dict[str, Range] = {}
    for run in runs:
        for name, array in run.items():
            if array.size and np.issubdtype(array.dtype, np.floating):
                low, high = found.get(name, (np.inf, -np.inf))
                found[name] = (min(low, float(array.min())), max(high, float(array.max())))
    return found
