"""TensorSpec: name, dtype and shape of an input or output of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from edgekit.core.errors import UserError, unknown

Axis = int | str
"""A size, or the name of a dynamic axis such as `N` (batch) or `T` (time)."""

DTYPES: Final = (
    "float32",
    "float16",
    "float64",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
    "str",
)
_INPUT = re.compile(r"(?P<name>[A-Za-z_][\w.]*):(?P<dtype>\w+)\[(?P<shape>[^\]]*)\]")
_AXIS_NAME = re.compile(r"[A-Za-z_]\w*")
_SIZE = re.compile(r"0*[1-9][0-9]{0,8}")
# Files from elsewhere have axes such as `x:0.1`.
_SIZES = re.compile(rf"(?P<axis>[^=,\s\d][^=,\s]*)=(?P<sizes>{_SIZE.pattern}(?:,{_SIZE.pattern})*)")

# Names of axes that mean something where the order of the axes does not say it: the batch, and time.
BATCH: Final = "N"
TIME: Final = "T"


class TensorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output of a model.

    `shape` names its dynamic axes; a first axis that is dynamic is the batch, in `[T,N,F]` the second one. `low` and
    `high` bound the values; `padding` is the value that a dynamic axis is padded with, null if padding would change the
    outputs.
    """

    name: str
    dtype: str
    shape: tuple[Axis, ...]
    low: float | None = None
    high: float | None = None
    padding: float | None = None

    @classmethod
    def parse(cls, text: str) -> TensorSpec:
        """A tensor from text such as `x:float32[N,1,28,28]`.

        Raises:
            UserError: A wrong format, an unknown dtype, or a size below 1.
        """
        match = _INPUT.fullmatch(text.replace(" ", ""))
        if match is None:
            raise UserError(f"'{text}' is not NAME:DTYPE[SHAPE].", hint="--input 'x:float32[N,1,28,28]'")
        if match["dtype"] not in DTYPES:
            raise unknown("dtype", match["dtype"], DTYPES)
        parts = match["shape"].split(",") if match["shape"] else []
        return cls(match["name"], match["dtype"], tuple(_axis(part, text) for part in parts))

    @property
    def free_axes(self) -> tuple[str, ...]:
        """Names of the dynamic axes in order."""
        return tuple(axis for axis in self.shape if isinstance(axis, str))

    def concrete(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with the sizes of its dynamic axes taken from `sizes`."""
        return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in self.shape)

    def __str__(self) -> str:
        return f"{self.name}:{self.dtype}[{','.join(map(str, self.shape))}]"


def parse_sizes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Sizes per dynamic axis from texts such as `T=32,64`; sizes of the same axis are merged.

    Raises:
        UserError: The format is wrong, or a size is 0.
    """
    sizes: dict[str, set[int]] = {}
    for text in texts:
        match = _SIZES.fullmatch(text.replace(" ", ""))
        if match is None:
            raise UserError(f"'{text}' is not AXIS=SIZE,SIZE.", hint="--sizes T=32,64")
        sizes.setdefault(match["axis"], set()).update(int(size) for size in match["sizes"].split(","))
    return {axis: tuple(sorted(found)) for axis, found in sizes.items()}


def _axis(part: str, text: str) -> Axis:
    if _SIZE.fullmatch(part):
        return int(part)
    if _AXIS_NAME.fullmatch(part):
        return part
    raise UserError(f"'{part}' in '{text}' is neither a size of at least 1 nor the name of a dynamic axis.")
