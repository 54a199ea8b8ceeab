"""Short-time Fourier transforms as convolutions with windowed cosines and sines. Runs in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.system.optional import need
from edgekit.export.torch.complex_numbers import Complex
from edgekit.export.torch.fourier import Waves, cosines, sines, tensor

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Tensor

# torch refuses a smaller sum of squared windows, which would amplify rounding.
_SMALLEST = 1e-11


def forward(
    self: Tensor | Complex,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Waves | None = None,
    center: bool = False,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    **_: object,
) -> Tensor | Complex:
    """What aten's `stft` returns, (N, bins, frames); the arguments have its names, and the window is an array.

    Raises:
        UserError: The input is complex.
    """
    functional = need("torch", extra="export").nn.functional
    if isinstance(self, Complex):
        raise UserError("The module transforms a complex sound.", hint="Transform its two parts on their own.")
    sound = self[None] if self.dim() == 1 else self
    if center:
        sound = functional.pad(sound[:, None], (n_fft // 2, n_fft // 2), mode=pad_mode)[:, 0]
    bins = n_fft if onesided is False else n_fft // 2 + 1
    kernels = _waves(n_fft, bins) * _padded(window, win_length, n_fft) * (n_fft**-0.5 if normalized else 1.0)
    found = functional.conv1d(sound[:, None], tensor(kernels[:, None], sound.dtype), stride=hop_length or n_fft // 4)
    found = found[0] if self.dim() == 1 else found
    spectrum = Complex(found[..., :bins, :], found[..., bins:, :])
    return spectrum if return_complex is not False else _pairs(spectrum)


def backward(
    self: Complex,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Waves | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """What aten's `istft` returns, (N, samples); the arguments have its names, and the window is an array.

    Raises:
        UserError: The result is complex.
    """
    torch = need("torch", extra="export")
    if return_complex:
        raise UserError("The module transforms a spectrum to a complex sound.", hint="return_complex=False")
    hop, bins, is_single = hop_length or n_fft // 4, int(self.real.shape[-2]), self.real.dim() == 2
    parts = torch.cat((self.real, self.imag), -2)
    shape = _padded(window, win_length, n_fft)
    kernels = _waves(n_fft, bins) * shape * _weights(n_fft, bins) * (n_fft**-0.5 if normalized else 1 / n_fft)
    overlapped = torch.nn.functional.conv_transpose1d(
        parts[None] if is_single else parts, tensor(kernels[:, None], parts.dtype), stride=hop
    )
    frames, begin = parts.shape[-1], n_fft // 2 if center else 0
    total = n_fft + hop * (frames - 1)
    end = begin + length if length is not None else total - begin
    sound: Tensor = overlapped[:, 0, begin:end] / _sums(shape, hop, frames, parts.dtype)[begin:end]
    sound = torch.nn.functional.pad(sound, (0, end - total)) if end > total else sound
    return sound[0] if is_single else sound


def _waves(size: int, bins: int) -> Waves:
    """The cosines, then the negated sines, of each bin: (2 * bins, size)."""
    steps, turns = np.arange(size)[None], np.arange(bins)[:, None]
    return np.concatenate([cosines(size, steps, turns), sines(size, steps, -turns)])


def _weights(size: int, bins: int) -> Waves:
    """How often each bin counts on the way back, (2 * bins, 1): those that have a mirror image twice."""
    mirrored = np.array([1.0 if bins == size or 2 * one in (0, size) else 2.0 for one in range(bins)])
    return np.tile(mirrored, 2)[:, None]


def _padded(window: Waves | None, length: int | None, size: int) -> Waves:
    """The window in the middle of `size` values."""
    values = np.ones(length or size) if window is None else np.asarray(window, np.float64)
    before = (size - len(values)) // 2
    return np.pad(values, (before, size - len(values) - before))


def _sums(window: Waves, hop: int, frames: Any, dtype: object) -> Tensor:
    """The sum of the squared windows that overlap at each sample."""
    torch = need("torch", extra="export")
    square = window**2
    if not isinstance(frames, int):
        ones = torch.ones((1, 1, frames), dtype=dtype)
        overlapped = torch.nn.functional.conv_transpose1d(ones, tensor(square[None, None], dtype), stride=hop)
        found: Tensor = overlapped[0, 0]
        return found
    sums = np.zeros(len(window) + hop * (frames - 1))
    for frame in range(frames):
        sums[frame * hop : frame * hop + len(window)] += square
    return tensor(np.where(sums < _SMALLEST, 1.0, sums), dtype)


def _pairs(spectrum: Complex) -> Tensor:
    pairs: Tensor = need("torch", extra="export").stack((spectrum.real, spectrum.imag), -1)
    return pairs
