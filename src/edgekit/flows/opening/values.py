"""Values that a user gives inputs by name: `sr=16000`, `mask=1`, `state=h.npy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgekit.core.errors import UserError, unknown
from edgekit.core.samples import Array, Feed, Samples, read_array
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.documents import BROKEN_JSON

_NUMPY = ".npy"


def names_an_input(text: str, spec: ModelSpec) -> bool:
    """True for `NAME=VALUE` with the name of an input."""
    return text.partition("=")[1] == "=" and text.partition("=")[0] in [tensor.name for tensor in spec.inputs]


def parse_values(texts: Sequence[str], spec: ModelSpec) -> Feed:
    """The values of inputs by name, from texts such as `sr=16000`, `mask=[1,1,0]` or `x=x.npy`.

    Raises:
        UserError: Not an input of the model, not a value, or one that the input does not take.
    """
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"'{text}' is not NAME=VALUE.", hint=f"--input {spec.inputs[0].name}=0")
        if name not in [tensor.name for tensor in spec.inputs]:
            raise unknown("input", name, [tensor.name for tensor in spec.inputs])
        found[name] = _typed(_read(value, text, spec.input(name)), spec.input(name))
    return found


def in_rows(feed: Feed, spec: ModelSpec) -> list[Feed]:
    """The feed in parts of one row, if the batch of the model is fixed at 1 and its inputs have several rows."""
    tensors = {tensor.name: tensor for tensor in spec.inputs}
    several = {name for name, array in feed.items() if name in tensors and _has_rows(array, tensors[name])}
    counts = {len(feed[name]) for name in several}
    if spec.batch_axis is not None or len(counts) != 1:
        return [feed]
    return [
        {name: array[row : row + 1] if name in several else array for name, array in feed.items()}
        for row in range(counts.pop())
    ]


def _has_rows(array: Array, tensor: TensorSpec) -> bool:
    is_like = array.ndim == len(tensor.shape) and tensor.shape[:1] == (1,)
    return is_like and len(array) > 1 and all(a == b or isinstance(b, str) for a, b in _tail(array, tensor))


def _tail(array: Array, tensor: TensorSpec) -> Iterator[tuple[int, int | str]]:
    yield from zip(array.shape[1:], tensor.shape[1:], strict=True)


def with_values(feed: Feed, spec: ModelSpec, values: Mapping[str, Array]) -> Feed:
    """`feed` with `values`; one number fills an input, whose dynamic axes are as long as in the other inputs.

    Raises:
        UserError: A value of another shape than its input.
    """
    sizes = {axis: max(spec.sizes_of(axis)) for axis in spec.free_axes}
    for tensor in spec.inputs:
        if tensor.name in feed and tensor.name not in values:
            pairs = zip(tensor.shape, feed[tensor.name].shape, strict=False)
            sizes |= {axis: size for axis, size in pairs if isinstance(axis, str)}
    filled = {
        name: value if _fits(value, spec.input(name)) else _filled(value, name, spec.input(name).concrete(sizes))
        for name, value in values.items()
    }
    return {**feed, **filled}


def samples_with_values(samples: Samples, values: Mapping[str, Array]) -> Samples:
    """Generated `samples` with the same `values` in each; errors as in `with_values`."""
    given = {name: np.array(_filled(value, name, samples.inputs[name].shape)) for name, value in values.items()}
    return Samples({**samples.inputs, **given})


def _read(value: str, text: str, tensor: TensorSpec) -> Array:
    if value.endswith(_NUMPY):
        return read_array(Path(value))
    if tensor.dtype == "str":
        return np.array(value)
    try:
        return np.array(msgspec.json.decode(value.lower()))
    except (*BROKEN_JSON, ValueError) as err:
        raise UserError(
            f"'{text}': expected a number, a list of numbers or an .npy file.", hint=f"--input {tensor.name}=0"
        ) from err


def _typed(array: Array, tensor: TensorSpec) -> Array:
    """`array` in the dtype of the input; no value becomes another."""
    if tensor.dtype == "str":
        return array.astype(str)
    if array.dtype.kind not in "biuf":
        raise UserError(f"'{tensor.name}' takes {tensor.dtype}, got {array.tolist()}.")
    cast = array.astype(tensor.dtype)
    is_same = np.array_equal(cast.astype(array.dtype), array) or ("float" in tensor.dtype and array.dtype.kind == "f")
    if not is_same:
        raise UserError(f"'{tensor.name}' takes {tensor.dtype}, which does not contain {array.tolist()}.")
    return cast


def _fits(value: Array, tensor: TensorSpec) -> bool:
    pairs = list(zip(tensor.shape, value.shape, strict=False))
    return len(value.shape) == len(tensor.shape) and all(isinstance(axis, str) or axis == n for axis, n in pairs)


def _filled(value: Array, name: str, shape: tuple[int, ...]) -> Array:
    try:
        return np.array(np.broadcast_to(value, shape))
    except ValueError as err:
        raise UserError(f"'{name}' has shape {value.shape}, expected one number or {shape}.") from err
