"""Lowering: a model of a newer format than the engine reads, stamped with an older one where nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from edgekit.core.need import need
from edgekit.core.refusals import refuse

# What onnxruntime 1.31.1 reads, by its own messages.
IR_VERSION: Final = 13
OPSET: Final = 26
_STANDARD: Final = ("", "ai.onnx")


def is_newer(model: Any) -> bool:
    """True when the engine would refuse the model for its version alone."""
    return model.ir_version > IR_VERSION or any(one.version > OPSET for one in _standard(model))


def lowered(model: Any) -> Any:
    """The model as the engine reads it: with an older stamp, and converted where an operator changed since.

    Raises:
        Refused: An operator that the older version cannot say.
    """
    model.ir_version = min(model.ir_version, IR_VERSION)
    newer = [one for one in _standard(model) if one.version > OPSET]
    if not newer:
        return model
    changed = [node for one in newer for node in _nodes(model.graph) if _has_changed(node, one.version)]
    if changed:
        return _converted(model, changed[0].op_type)
    for one in newer:
        one.version = OPSET
    return model


def _converted(model: Any, operator: str) -> Any:
    try:
        return need("onnx.version_converter", extra="export").convert_version(model, OPSET)
    except Exception as err:
        raise refuse("newer-opset", f"Operator '{operator}'") from err


def _standard(model: Any) -> list[Any]:
    return [one for one in model.opset_import if one.domain in _STANDARD]


def _has_changed(node: Any, version: int) -> bool:
    defs = need("onnx", extra="export").defs
    known = node.domain in _STANDARD and defs.has(node.op_type, version)
    return known and defs.get_schema(node.op_type, version).since_version > OPSET


def _nodes(graph: Any) -> Iterator[Any]:
    """Every node, those of branches and loop bodies included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)
