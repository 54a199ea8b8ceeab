"""Files whose batch cannot be freed, because an operator inside has it in a constant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgekit.core.errors import ModelUnreadable, UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.runtime.backend import BACKENDS, Backend

_ROWS: Final = 2
# TensorProto.INT64: shapes are always of this type.
_INT64: Final = 7
# Operators with a shape as an input, and its place.
_SHAPED: Final[Mapping[str, int]] = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0}


def refuse_kept_batch(path: Path, freed: Path, spec: ModelSpec, feed: Feed) -> None:
    """Raise if the file `freed`, which was made from `path` with a free batch, does not run two samples as two rows.

    Raises:
        UserError: It says what happens with two samples, and which operators have a constant shape for one.
    """
    reason = _failure(freed, spec, feed)
    if not reason:
        return
    graph = need("onnx", extra="export").load(str(freed)).graph
    names = [f"{kind} '{name}' to {list(shape)}" for kind, name, shape in _constant_shapes(graph)]
    culprits = f" It contains a constant shape for one sample: {', '.join(names[:3])}." if names else ""
    raise UserError(
        f"The batch of '{path.name}' is fixed at 1 and cannot be made free: {reason}.{culprits}",
        hint="Omit --input: samples then run one at a time. Or export the network again with a dynamic batch.",
    )


def _failure(freed: Path, spec: ModelSpec, feed: Feed) -> str:
    """What goes wrong with two samples; empty if each output has two rows where it has one for one."""
    try:
        backend: Backend = BACKENDS.get("onnxruntime")()
        with backend.open(freed, {}, None) as session:
            one, two = (session.run(_rows(feed, spec, count)) for count in (1, _ROWS))
    except (ModelUnreadable, UserError) as err:
        return f"two samples at once fail: {next(iter(err.message.splitlines()), '')}"
    for name, array in one.items():
        wanted = tuple(_ROWS if place == 0 else size for place, size in enumerate(array.shape))
        if array.shape[:1] == (1,) and two[name].shape != wanted:
            return f"with two samples, output '{name}' has the shape {two[name].shape} instead of {wanted}"
    return ""


def _rows(feed: Feed, spec: ModelSpec, count: int) -> Feed:
    """The first sample of the feed, `count` times."""
    batched = {tensor.name for tensor in spec.inputs if tensor.shape[:1] == (spec.batch_axis,)}
    return {
        name: np.repeat(np.asarray(array)[:1], count, axis=0) if name in batched else array
        for name, array in feed.items()
    }


def _constant_shapes(graph: Any) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Operators that make a tensor of a constant shape which begins with 1."""
    onnx = need("onnx", extra="export")
    tensors = {one.name: one for one in graph.initializer}
    tensors |= {node.output[0]: one.t for node in graph.node if node.op_type == "Constant" for one in node.attribute}
    constants = {name: onnx.numpy_helper.to_array(one) for name, one in tensors.items() if one.data_type == _INT64}
    for node in graph.node:
        place = _SHAPED.get(node.op_type)
        shape = constants.get(node.input[place]) if place is not None and len(node.input) > place else None
        if shape is not None and shape.size and shape.reshape(-1)[0] == 1:
            yield node.op_type, node.name or node.output[0], tuple(map(int, shape.reshape(-1)))
