"""Rows added by index, which LiteRT cannot do, as products with matrices of ones and zeros. Runs in the worker."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from edgekit.core.errors import UserError
from edgekit.core.system.optional import need

# Beyond this many comparisons of a place with an index the file would take more memory than the network.
_LARGEST: Final = 1 << 25
_SUM, _MEAN, _MAX = range(3)


def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    """`x` with every slice of `source` added at its index along an axis."""
    if x.dim() == 0:
        return NotImplemented
    rows = source.movedim(dim, 0)
    summed = _sums(index.reshape(-1), x.shape[dim], rows.reshape(rows.shape[0], -1))
    summed = summed.reshape([x.shape[dim], *rows.shape[1:]]).movedim(0, dim)
    return x + (summed if alpha == 1 else summed * alpha)


def index_reduce(x: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Any:
    """As `scatter_reduce`, with one index for a slice."""
    shape = [-1 if axis == dim % x.dim() else 1 for axis in range(x.dim())]
    return scatter_reduce(x, dim, index.reshape(shape).expand(source.shape), source, reduce, include_self=include_self)


def scatter_add(x: Any, dim: int, index: Any, source: Any) -> Any:
    """`x` with every value of `source` added at its index along an axis."""
    return scatter_reduce(x, dim, index, source, "sum")


def scatter_with(x: Any, dim: int, index: Any, source: Any, *, reduce: str) -> Any:
    """The older form of `scatter_reduce`."""
    return scatter_reduce(x, dim, index, source, {"add": "sum", "multiply": "prod"}[reduce])


def scatter_reduce(x: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Any:
    """`x` with the values of `source` that have the same index along an axis reduced to one, and joined with it."""
    torch = need("torch", extra="tflite-export")
    if x.dim() == 0:
        return NotImplemented
    dim %= x.dim()
    source = source[tuple(slice(size) for size in index.shape)]
    if any(size != wanted for axis, (size, wanted) in enumerate(zip(index.shape, x.shape, strict=True)) if axis != dim):
        return NotImplemented
    if reduce == "sum" and include_self and _is_repeated(index, dim):
        line = index[tuple(slice(None) if axis == dim else 0 for axis in range(x.dim()))]
        return index_add(x, dim, line, source)
    _refuse_large(index.numel() * x.shape[dim])
    # The values (…, n), and for each place whether they belong there: (…, places, n).
    values, target = source.movedim(dim, -1).unsqueeze(-2), x.movedim(dim, -1)
    here = index.movedim(dim, -1).unsqueeze(-2) == torch.arange(x.shape[dim]).unsqueeze(-1)
    found = _reduced(values, here, target, reduce, include_self=include_self)
    return found.movedim(-1, dim)


def _reduced(values: Any, here: Any, target: Any, reduce: str, *, include_self: bool) -> Any:
    torch = need("torch", extra="tflite-export")
    if reduce in ("amax", "amin"):
        # The opposite extreme changes nothing, and has no range of its own that int8 would have to hold.
        largest = reduce == "amax"
        rest = values.amin(-1, keepdim=True) if largest else values.amax(-1, keepdim=True)
        chosen = torch.where(here, values, rest)
        found = chosen.amax(-1) if largest else chosen.amin(-1)
        joined = (torch.maximum if largest else torch.minimum)(target, found)
    elif reduce == "prod":
        found = torch.where(here, values, torch.ones_like(values)).prod(-1)
        joined = target * found
    else:
        found = torch.where(here, values, torch.zeros_like(values)).sum(-1, dtype=target.dtype)
        joined = target + found
    count = here.to(target.dtype).sum(-1, dtype=target.dtype)
    if reduce == "mean":
        found, joined = found / count.clamp(min=1), joined / (count + 1)
    if include_self and reduce not in ("amax", "amin"):
        return joined
    return torch.where(count > 0, joined if include_self else found, target)


def index_put(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """`x` with `values` added at the places that the indices of its first axes give; or put where a mask is true."""
    torch = need("torch", extra="tflite-export")
    first = indices[0]
    if len(indices) == 1 and first is not None and first.dtype == torch.bool:
        if accumulate or values.numel() != 1:
            return NotImplemented
        return torch.where(first.reshape([*first.shape, *[1] * (x.dim() - first.dim())]), values.reshape([]), x)
    if not accumulate or any(one is None or one.dtype == torch.bool for one in indices):
        return NotImplemented
    count = len(indices)
    places, shape = torch.broadcast_tensors(*indices), x.shape
    line = sum(
        torch.where(place < 0, place + size, place) * math.prod(shape[axis + 1 : count])
        for axis, (place, size) in enumerate(zip(places, shape, strict=False))
    )
    rows = values.expand([*places[0].shape, *shape[count:]]).reshape(places[0].numel(), -1)
    summed = _sums(line.reshape(-1), math.prod(shape[:count]), rows)
    return x + summed.reshape(shape)


def bags(
    weight: Any,
    indices: Any,
    offsets: Any,
    scale_grad_by_freq: bool = False,
    mode: int = _SUM,
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> tuple[Any, ...]:
    """The rows of a table, reduced to one for each bag; an empty bag gives zeros."""
    torch = need("torch", extra="tflite-export")
    del scale_grad_by_freq, sparse
    count, length = offsets.shape[0] - include_last_offset, indices.shape[0]
    rows = torch.embedding(weight, indices)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    # Of bags that begin at one place, all but the last are empty.
    bag = (torch.arange(length) >= offsets.unsqueeze(-1)).to(torch.int64).sum(0) - 1
    here = torch.arange(count).unsqueeze(-1) == bag
    if padding_idx >= 0:
        here = here & (indices != padding_idx)
    if mode == _MAX:
        _refuse_large(count * rows.numel())
        apart = torch.where(here.unsqueeze(-1), rows, rows.amin(0))
        found = torch.where(here.any(-1, keepdim=True), apart.amax(1), torch.zeros_like(apart[:, 0]))
    elif count == 1 and padding_idx < 0 and not include_last_offset:
        found = rows.sum(0, keepdim=True) if mode == _SUM else rows.mean(0, keepdim=True)
    else:
        shares = here.to(rows.dtype)
        found = shares @ rows
        found = found / shares.sum(-1, keepdim=True).clamp(min=1) if mode == _MEAN else found
    # What only the way back reads.
    return found, offsets, offsets, offsets


def _sums(index: Any, places: int, rows: Any) -> Any:
    """The sum of the rows (n, m) with each index: (places, m)."""
    torch = need("torch", extra="tflite-export")
    here = torch.arange(places).unsqueeze(-1) == index
    if rows.dtype.is_floating_point:
        _refuse_large(places * rows.shape[0])
        return here.to(rows.dtype) @ rows
    _refuse_large(places * rows.numel())
    return torch.where(here.unsqueeze(-1), rows, torch.zeros_like(rows)).sum(1, dtype=rows.dtype)


def _is_repeated(index: Any, dim: int) -> bool:
    """Whether one line of indices along an axis stands for all, as after `expand`."""
    return all(
        axis == dim or size == 1 or stride == 0
        for axis, (size, stride) in enumerate(zip(index.shape, index.stride(), strict=True))
    )


def _refuse_large(comparisons: int) -> None:
    if comparisons > _LARGEST:
        raise UserError(
            f"The module adds rows by index, which takes {comparisons:,} comparisons of a place with an index.",
            hint="--to onnx-fp32, which has an operator for it",
        )


SCATTERING: Final[dict[str, Callable[..., Any]]] = {
    "index_add.default": index_add,
    "index_reduce.default": index_reduce,
    "scatter_add.default": scatter_add,
    "scatter.reduce": scatter_with,
    "scatter_reduce.two": scatter_reduce,
    "index_put.default": index_put,
    "_embedding_bag.default": bags,
    "_embedding_bag_forward_only.default": bags,
    # An assertion that reads values: `one_hot` makes one.
    "_assert_async.msg": lambda *_: None,
    "_assert_async.default": lambda *_: None,
}
