"""Operators that the converter writes as ones LiteRT does not have, put in terms of others."""

from __future__ import annotations

from typing import Any

from edgekit.core.system.optional import need

# Powers have kernels up to this rank, and the converter repeats an axis by one more for each.
_RANK = 4


def decompose() -> None:
    """Register how the converter writes them; a second call changes nothing."""
    torch = need("torch", extra="tflite-export")
    add = need("litert_torch.fx_infra.decomp", extra="tflite-export").add_pre_convert_decomp
    aten = torch.ops.aten
    for overload in (aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor, aten.pow.Scalar):
        add(overload, _power(overload))
    add(aten.repeat.default, _repeated)
    add(aten.topk.default, _largest)
    add(aten.sort.default, _sorted)
    add(aten.adaptive_max_pool2d.default, _largest_of_windows)


def _power(overload: Any) -> Any:
    """Powers of tensors of higher rank, as vectors."""
    torch = need("torch", extra="tflite-export")

    def power(base: Any, exponent: Any) -> Any:
        both = [one for one in (base, exponent) if isinstance(one, torch.Tensor)]
        shape = torch.broadcast_shapes(*(one.shape for one in both))
        if len(shape) <= _RANK:
            return NotImplemented
        flat = [one.expand(shape).reshape(-1) if isinstance(one, torch.Tensor) else one for one in (base, exponent)]
        return overload(*flat).reshape(shape)

    return power


def _repeated(x: Any, repeats: list[int]) -> Any:
    """A tensor of higher rank repeated, one axis after the other."""
    torch = need("torch", extra="tflite-export")
    if len(repeats) <= _RANK or 0 in repeats:
        return NotImplemented
    x = x.reshape([1] * (len(repeats) - x.dim()) + list(x.shape))
    for axis, count in enumerate(repeats):
        x = torch.cat([x] * count, axis) if count > 1 else x
    return x


def _largest(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest or smallest values along an axis, and their places."""
    torch = need("torch", extra="tflite-export")
    del sorted  # LiteRT always sorts
    if x.dim() == 0 or x.dtype not in (torch.float32, torch.int32):
        return NotImplemented
    values, places = torch.ops.tfl.topk_v2((x if largest else -x).movedim(dim, -1), k)
    values = values if largest else -values
    return values.movedim(-1, dim), places.to(torch.int64).movedim(-1, dim)


def _sorted(x: Any, dim: int = -1, descending: bool = False) -> Any:
    """All values along an axis in order; of equal ones the first stays first."""
    return NotImplemented if x.dim() == 0 else _largest(x, x.shape[dim], dim, descending)


def _largest_of_windows(x: Any, output_size: list[int]) -> Any:
    """The largest value of each of equal windows, and its place in the picture."""
    torch = need("torch", extra="tflite-export")
    (height, width), (rows, columns) = x.shape[-2:], output_size
    if height % rows or width % columns:
        return NotImplemented
    tall, wide = height // rows, width // columns
    windows = x.reshape(*x.shape[:-2], rows, tall, columns, wide).transpose(-3, -2).flatten(-2)
    place = windows.argmax(-1)
    row = torch.arange(rows)[:, None] * tall + place // wide
    return windows.amax(-1), row * width + torch.arange(columns) * wide + place % wide
