"""Operators that the converter writes as ones LiteRT does not have, put in terms of others."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, ParamSpec

from edgekit.core.system.optional import need
from edgekit.export.tflite.resizing import ANTIALIASED, resize_as_pytorch
from edgekit.export.tflite.scattering import SCATTERING
from edgekit.export.torch.flattening import is_tensor

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Tensor

P = ParamSpec("P")
# Powers have kernels up to this rank, and the converter repeats an axis by one more for each.
_RANK: Final = 4


def decompose() -> None:
    """Register how the converter writes them; a second call changes nothing."""
    torch = need("torch", extra="tflite-export")
    add = need("litert_torch.fx_infra.decomp", extra="tflite-export").add_pre_convert_decomp
    aten = torch.ops.aten
    for overload in (aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor, aten.pow.Scalar):
        add(overload, _or_left(_power(overload)))
    for name, lowered in {**SCATTERING, **ANTIALIASED}.items():
        packet, _, overload_name = name.partition(".")
        add(getattr(getattr(aten, packet), overload_name), lowered)
    for overload in (aten.eye.default, aten.eye.m):
        add(overload, _unit_matrix)
    add(aten.repeat.default, _or_left(_repeated))
    add(aten.topk.default, _or_left(_largest))
    add(aten.sort.default, _or_left(_sorted))
    add(aten.adaptive_max_pool2d.default, _or_left(_largest_of_windows))
    resize_as_pytorch()


def _or_left(lowered: Callable[P, object]) -> Callable[P, object]:
    """`lowered` for the converter, to which None leaves the operator."""

    @functools.wraps(lowered)
    def whole(*args: P.args, **kwargs: P.kwargs) -> object:
        made = lowered(*args, **kwargs)
        return NotImplemented if made is None else made

    return whole


def _power(overload: Callable[..., Tensor]) -> Callable[..., Tensor | None]:
    """Powers of tensors of higher rank, as vectors."""
    torch = need("torch", extra="tflite-export")

    def power(base: Tensor | float, exponent: Tensor | float) -> Tensor | None:
        both = [one for one in (base, exponent) if is_tensor(one)]
        shape = torch.broadcast_shapes(*(one.shape for one in both))
        if len(shape) <= _RANK:
            return None
        flat = [one.expand(shape).reshape(-1) if is_tensor(one) else one for one in (base, exponent)]
        return overload(*flat).reshape(shape)

    return power


def _unit_matrix(rows: int, columns: int | None = None, *, dtype: object = None, **_: object) -> Tensor:
    """Ones on the diagonal: the converter's own counts along two axes at once."""
    torch = need("torch", extra="tflite-export")
    columns = rows if columns is None else columns
    found: Tensor = (torch.arange(rows).unsqueeze(-1) == torch.arange(columns)).to(dtype or torch.get_default_dtype())
    return found


def _repeated(x: Tensor, repeats: Sequence[int]) -> Tensor | None:
    """A tensor of higher rank repeated, one axis after the other."""
    torch = need("torch", extra="tflite-export")
    if len(repeats) <= _RANK or 0 in repeats:
        return None
    x = x.reshape([1] * (len(repeats) - x.dim()) + list(x.shape))
    for axis, count in enumerate(repeats):
        x = torch.cat([x] * count, axis) if count > 1 else x
    return x


def _largest(
    x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Tensor, Tensor] | None:
    """The `k` largest or smallest values along an axis, and their places."""
    torch = need("torch", extra="tflite-export")
    del sorted  # LiteRT always sorts
    if x.dim() == 0 or x.dtype not in (torch.float32, torch.int32):
        return None
    values, places = torch.ops.tfl.topk_v2((x if largest else -x).movedim(dim, -1), k)
    values = values if largest else -values
    return values.movedim(-1, dim), places.to(torch.int64).movedim(-1, dim)


def _sorted(x: Tensor, dim: int = -1, descending: bool = False) -> tuple[Tensor, Tensor] | None:
    """All values along an axis in order; of equal ones the first stays first."""
    return None if x.dim() == 0 else _largest(x, x.shape[dim], dim, descending)


def _largest_of_windows(x: Tensor, output_size: Sequence[int]) -> tuple[Tensor, Tensor] | None:
    """The largest value of each of equal windows, and its place in the picture."""
    torch = need("torch", extra="tflite-export")
    (height, width), (rows, columns) = x.shape[-2:], output_size
    if height % rows or width % columns:
        return None
    tall, wide = height // rows, width // columns
    windows = x.reshape(*x.shape[:-2], rows, tall, columns, wide).transpose(-3, -2).flatten(-2)
    place = windows.argmax(-1)
    row = torch.arange(rows)[:, None] * tall + place // wide
    places: Tensor = row * width + torch.arange(columns) * wide + place % wide
    return windows.amax(-1), places
