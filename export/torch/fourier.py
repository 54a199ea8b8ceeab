"""Fourier transforms as products with cosines and sines, for `complex_numbers`. Runs in the worker."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from edgekit.core.errors import UserError
from edgekit.core.system.optional import need
from edgekit.export.torch.complex_numbers import Complex, conjugate, multiply, split

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Tensor

Waves = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Transform: TypeAlias = "Callable[..., Tensor | Complex]"

# Up to this length one product with all cosines and sines; above it in two steps, where the length has factors.
_DIRECT: Final = 512
# The cosines and sines of a prime length of 4096 take 128 MiB.
_LONGEST: Final = 4096


def transform(
    z: Tensor | Complex, dim: int, *, size: int | None = None, norm: str | None = None, inverse: bool = False
) -> Complex:
    """The discrete Fourier transform of a real or complex tensor along one axis.

    Args:
        size: The length that the axis is cut or filled with zeros to.
    """
    moved = _resized(_by_parts(z, lambda part: part.movedim(dim, -1)), size)
    length = int(_first(moved).shape[-1])
    found = _scaled(_of_length(moved, length, inverse=inverse), length, norm, inverse=inverse)
    return Complex(found.real.movedim(-1, dim), found.imag.movedim(-1, dim))


def half(x: Tensor, dim: int, *, size: int | None = None, norm: str | None = None) -> Complex:
    """The transform of a real tensor along one axis: the bins from 0 to half of its length."""
    moved = _resized(x.movedim(dim, -1), size)
    length = int(moved.shape[-1])
    bins = length // 2 + 1
    if length <= _DIRECT:
        found = _multiplied(moved, bins, inverse=False)
    else:
        whole = _of_length(moved, length, inverse=False)
        found = Complex(whole.real[..., :bins], whole.imag[..., :bins])
    found = _scaled(found, length, norm, inverse=False)
    return Complex(found.real.movedim(-1, dim), found.imag.movedim(-1, dim))


def from_half(z: Tensor | Complex, dim: int, *, size: int | None = None, norm: str | None = None) -> Tensor:
    """The real tensor that `half` returns `z` for; its length is `size`, or twice the number of bins less two."""
    torch = need("torch", extra="export")
    z = split(z)
    length = size or 2 * (int(z.real.shape[dim]) - 1)
    bins = length // 2 + 1
    moved = _resized(_by_parts(z, lambda part: part.movedim(dim, -1)), bins)
    mirrored = conjugate(_by_parts(moved, lambda part: part[..., 1 : length - bins + 1].flip(-1)))
    whole = Complex(torch.cat((moved.real, mirrored.real), -1), torch.cat((moved.imag, mirrored.imag), -1))
    found = _scaled(_of_length(whole, length, inverse=True), length, norm, inverse=True)
    return found.real.movedim(-1, dim)


def _first(z: Tensor | Complex) -> Tensor:
    return z.real if isinstance(z, Complex) else z


@overload
def _by_parts(z: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor: ...
@overload
def _by_parts(z: Complex, function: Callable[[Tensor], Tensor]) -> Complex: ...
def _by_parts(z: Tensor | Complex, function: Callable[[Tensor], Tensor]) -> Tensor | Complex:
    return Complex(function(z.real), function(z.imag)) if isinstance(z, Complex) else function(z)


@overload
def _resized(z: Tensor, size: int | None) -> Tensor: ...
@overload
def _resized(z: Complex, size: int | None) -> Complex: ...
def _resized(z: Tensor | Complex, size: int | None) -> Tensor | Complex:
    """The last axis cut or filled with zeros."""
    pad = need("torch", extra="export").nn.functional.pad
    length = int(_first(z).shape[-1])
    if size is None or size == length:
        return z
    if size < length:
        return _by_parts(z, lambda part: part[..., :size])
    return _by_parts(z, lambda part: pad(part, (0, size - length)))


def _scaled(z: Complex, length: int, norm: str | None, *, inverse: bool) -> Complex:
    powers = {"backward": 1.0 if inverse else 0.0, "forward": 0.0 if inverse else 1.0, "ortho": 0.5}
    factor = float(length) ** -powers[norm or "backward"]
    return z if factor == 1 else Complex(z.real * factor, z.imag * factor)


def _of_length(z: Tensor | Complex, length: int, *, inverse: bool) -> Complex:
    """The transform along the last axis without a factor."""
    rows = _divisor(length) if length > _DIRECT else 1
    if rows == 1:
        if length > _LONGEST:
            raise UserError(
                f"The module transforms {length} values at once, and {length} has no factors to divide this by.",
                hint="Fill the axis with zeros to a power of two.",
            )
        return _multiplied(z, length, inverse=inverse)
    columns = length // rows
    grid = _by_parts(z, lambda part: part.unflatten(-1, (rows, columns)).transpose(-1, -2))
    first = _of_length(grid, rows, inverse=inverse)
    turned = multiply(first, _turns(rows, columns, first.real.dtype, inverse=inverse))
    second = _of_length(_by_parts(turned, lambda part: part.transpose(-1, -2)), columns, inverse=inverse)
    return Complex(second.real.transpose(-1, -2).flatten(-2), second.imag.transpose(-1, -2).flatten(-2))


def _divisor(length: int) -> int:
    """The largest divisor up to the square root."""
    return next(one for one in range(math.isqrt(length), 0, -1) if length % one == 0)


def _multiplied(z: Tensor | Complex, bins: int, *, inverse: bool) -> Complex:
    """The first bins of the transform along the last axis, without a factor."""
    length, dtype = int(_first(z).shape[-1]), _first(z).dtype
    steps, turns = np.arange(length)[:, None], np.arange(bins)[None]
    cos = tensor(cosines(length, steps, turns), dtype)
    sin = tensor(sines(length, steps, turns if inverse else -turns), dtype)
    if not isinstance(z, Complex):
        return Complex(z @ cos, z @ sin)
    return Complex(z.real @ cos - z.imag @ sin, z.real @ sin + z.imag @ cos)


def _turns(rows: int, columns: int, dtype: object, *, inverse: bool) -> Complex:
    """What the sums over rows, (columns, rows), are turned by before those over columns."""
    steps, turns = np.arange(columns)[:, None], np.arange(rows)[None]
    turns, length = turns if inverse else -turns, rows * columns
    return Complex(tensor(cosines(length, steps, turns), dtype), tensor(sines(length, steps, turns), dtype))


def cosines(length: int, steps: Numbers, turns: Numbers) -> Waves:
    """Waves of `turns` turns per `length`, at `steps`."""
    return np.asarray(np.cos(2 * np.pi * (steps * turns % length) / length))


def sines(length: int, steps: Numbers, turns: Numbers) -> Waves:
    """Waves of `turns` turns per `length`, at `steps`; half turns are exactly zero.

    The angle of a bin that is real by symmetry depends on the sign of its imaginary part.
    """
    places = steps * turns % length
    return np.where(2 * places % length == 0, 0.0, np.sin(2 * np.pi * places / length))


def tensor(array: Waves, dtype: object) -> Tensor:
    """A constant, rounded once."""
    exact: Tensor = need("torch", extra="export").from_numpy(np.ascontiguousarray(array))
    return exact.to(dtype)


def _along(one: Transform) -> Transform:
    """As in `torch.fft`: (x, size, dim, norm)."""
    return lambda x, size=None, dim=-1, norm=None: one(x, dim, size=size, norm=norm)


def _over(first: Transform | None, last: Transform | None, *, inverse: bool, axes: int = 0) -> Transform:
    """A transform over several axes: `first` or `last` stand for the real one of its last axis."""

    def over(
        x: Tensor | Complex,
        sizes: Sequence[int] | None = None,
        dims: int | Sequence[int] | None = None,
        norm: str | None = None,
    ) -> Tensor | Complex:
        rank = _first(x).dim()
        given = [dims] if isinstance(dims, int) else dims
        count = axes or len(sizes or given or range(rank))
        chosen = list(range(rank - count, rank)) if given is None else list(given)
        lengths = list(sizes) if sizes is not None else [None] * len(chosen)
        pairs = list(zip(chosen, lengths, strict=True))
        if first is not None:
            x = first(x, pairs[-1][0], size=pairs[-1][1], norm=norm)
        for dim, size in pairs[:-1] if first or last else pairs:
            x = transform(x, dim, size=size, norm=norm, inverse=inverse)
        return x if last is None else last(x, pairs[-1][0], size=pairs[-1][1], norm=norm)

    return over


def _inverse(x: Tensor | Complex, dim: int, *, size: int | None = None, norm: str | None = None) -> Complex:
    return transform(x, dim, size=size, norm=norm, inverse=True)


def _mixed(x: Tensor | Complex, dims: Sequence[int], norm: int, forward: bool) -> Complex:
    for dim in dims:
        x = transform(x, dim, norm=_word(norm, forward=forward), inverse=not forward)
    return split(x)


def _from_real(x: Tensor, dims: Sequence[int], norm: int, onesided: bool) -> Complex:
    *others, last = dims
    begin = half if onesided else transform
    return _mixed(begin(x, last, norm=_word(norm, forward=True)), others, norm, True)


def _to_real(z: Tensor | Complex, dims: Sequence[int], norm: int, size: int) -> Tensor:
    *others, last = dims
    return from_half(_mixed(z, others, norm, False), last, size=size, norm=_word(norm, forward=False))


def _word(norm: int, *, forward: bool) -> str:
    """The name in `torch.fft` of a number in the operators below it: 0 no factor, 1 its square root, 2 the factor."""
    return {0: "backward" if forward else "forward", 1: "ortho", 2: "forward" if forward else "backward"}[norm]


TRANSFORMS: Final[dict[str, Transform]] = {
    "fft_fft": _along(transform),
    "fft_ifft": _along(_inverse),
    "fft_rfft": _along(half),
    "fft_irfft": _along(from_half),
    "fft_fft2": _over(None, None, inverse=False, axes=2),
    "fft_fftn": _over(None, None, inverse=False),
    "fft_ifft2": _over(None, None, inverse=True, axes=2),
    "fft_ifftn": _over(None, None, inverse=True),
    "fft_rfft2": _over(half, None, inverse=False, axes=2),
    "fft_rfftn": _over(half, None, inverse=False),
    "fft_irfft2": _over(None, from_half, inverse=True, axes=2),
    "fft_irfftn": _over(None, from_half, inverse=True),
    "_fft_c2c": _mixed,
    "_fft_r2c": _from_real,
    "_fft_c2r": _to_real,
}
