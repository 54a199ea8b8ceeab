"""Why arrays are not samples of a model, one sentence for each problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from edgekit.core.errors import nearest
from edgekit.core.samples import TARGET, Array, Feed, part_of
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import MULTI_LABEL
from edgekit.core.spec.tensor_spec import Axis, TensorSpec
from edgekit.runtime.detection import OBJECTS
from edgekit.runtime.segmentation import MASK
from edgekit.runtime.tasks.keypoints import KEYPOINTS
from edgekit.runtime.tasks.transcripts import TEXT

# Targets that belong to a task and to no output.
_TASK_TARGETS: Final = (OBJECTS, MASK, MULTI_LABEL, TEXT, KEYPOINTS)


def sample_problems(arrays: Feed, spec: ModelSpec, labels: Feed | None = None) -> list[str]:
    """Every reason why these inputs and targets are not samples of the model, one sentence each; not of the labels."""
    given = [tensor for tensor in spec.inputs if tensor.name in arrays]
    problems = _name_problems(arrays, spec) + _count_problems({**arrays, **(labels or {})})
    for tensor in given:
        problems += _array_problems(arrays[tensor.name], tensor, spec.batch_axis is not None)
    if problems:
        return problems
    problems = _axis_problems(arrays, spec)
    return problems + [problem for name, array in part_of(arrays, TARGET).items() for problem in _target(name, array)]


def _name_problems(arrays: Feed, spec: ModelSpec) -> list[str]:
    names = [tensor.name for tensor in spec.inputs]
    outputs = [tensor.name for tensor in spec.outputs]
    given = [name for name in arrays if not name.startswith(TARGET)]
    missing = [f"'{name}' is missing.{nearest(name, given)}" for name in names if name not in arrays]
    extra = [f"'{name}' is not an input of the model.{nearest(name, names)}" for name in given if name not in names]
    known = (*outputs, *_TASK_TARGETS)
    targets = [name for name in part_of(arrays, TARGET) if outputs and name not in known]
    return missing + extra + [f"'{name}' is not an output of the model.{nearest(name, outputs)}" for name in targets]


def _count_problems(arrays: Feed) -> list[str]:
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if not counts or 0 in counts.values():
        return ["there are no samples."]
    if len(set(counts.values())) > 1:
        return ["sample counts differ: " + ", ".join(f"{name} {count}" for name, count in counts.items()) + "."]
    return []


def _array_problems(array: Array, tensor: TensorSpec, batched: bool) -> list[str]:
    shape = wanted_shape(tensor, batched=batched)
    got = array.shape[1:]
    problems = []
    if not shape_fits(got, shape):
        problems.append(f"'{tensor.name}' has shape {_text(got)} per sample, expected {_text(shape)}.")
    if not np.can_cast(array.dtype, np.dtype(tensor.dtype), "same_kind"):
        return [*problems, f"'{tensor.name}' has dtype {array.dtype}, expected {tensor.dtype}."]
    return problems + (_finite(tensor.name, array) or _fitting(tensor, array))


def wanted_shape(tensor: TensorSpec, *, batched: bool) -> tuple[Axis, ...]:
    """The shape of one sample of an input."""
    return tensor.shape[1:] if batched else tensor.shape


def shape_fits(got: Sequence[int], wanted: Sequence[Axis]) -> bool:
    """Whether `got` are sizes of the axes `wanted`; a dynamic one is at least 1."""
    return len(got) == len(wanted) and all(
        size > 0 if isinstance(want, str) else want == size for want, size in zip(wanted, got, strict=True)
    )


def _axis_problems(arrays: Feed, spec: ModelSpec) -> list[str]:
    """Dynamic axes of one name that have different sizes in different inputs."""
    sizes: dict[str, dict[str, int]] = {}
    for tensor in spec.inputs:
        got = arrays[tensor.name].shape[0 if spec.batch_axis else 1 :]
        for axis, size in zip(tensor.shape, got, strict=True):
            if isinstance(axis, str) and axis != spec.batch_axis:
                sizes.setdefault(axis, {})[tensor.name] = size
    differing = {axis: found for axis, found in sizes.items() if len(set(found.values())) > 1}
    return [
        f"axis '{axis}' differs: " + ", ".join(f"{name} {size}" for name, size in found.items()) + "."
        for axis, found in differing.items()
    ]


def _target(name: str, array: Array) -> list[str]:
    if name == TEXT and array.dtype.kind == "U":
        return []
    if array.dtype.kind not in "fiub":
        return [f"'{TARGET}{name}' has dtype {array.dtype}, expected numbers."]
    return _finite(f"{TARGET}{name}", array)


def _finite(name: str, array: Array) -> list[str]:
    if array.ndim == 0 or not np.issubdtype(array.dtype, np.inexact) or np.isfinite(array).all():
        return []
    rows = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return [f"'{name}' contains NaN or infinity, first in sample {int(np.argmin(rows))}."]


def _fitting(tensor: TensorSpec, array: Array) -> list[str]:
    """Values that a narrower dtype would turn into others: 200 as int8 is -56, 1e300 as float32 infinity."""
    if array.ndim == 0 or array.size == 0 or tensor.dtype in ("bool", "str"):
        return []
    limits = np.iinfo(tensor.dtype) if "int" in tensor.dtype else np.finfo(tensor.dtype)
    low, high = array.min(), array.max()
    if limits.min <= low and high <= limits.max:
        return []
    return [f"'{tensor.name}' contains values from {low} to {high}, which {tensor.dtype} cannot represent."]


def _text(shape: Sequence[object]) -> str:
    return f"({', '.join(map(str, shape))})"
