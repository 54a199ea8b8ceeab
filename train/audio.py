"""The audio front end inside a network, and augmentation of raw audio."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

RATE = 16_000
WINDOW = 512  # 32 ms
HOP = 320  # 20 ms
MELS = 40
LOW_HZ, HIGH_HZ = 20.0, 7600.0
FLOOR = 1e-6  # energy that counts as silence: about the noise of the 16-bit grid


class LogMel(nn.Module):
    """Log-mel spectrogram (N, 1, frames, mels) of audio (N, samples), by convolutions that every converter supports.

    The windowed cosines and sines of the Fourier transform are the kernels of one convolution with stride `HOP`.
    """

    def __init__(self, mels: int = MELS) -> None:
        super().__init__()
        # First and last filter edges lie between bins, so only these bins count.
        bins = torch.arange(1, math.ceil(HIGH_HZ / (RATE / WINDOW)) + 1)
        phase = 2 * math.pi * bins[:, None] * torch.arange(WINDOW)[None, :] / WINDOW
        window = torch.hann_window(WINDOW)
        self.bins = len(bins)
        kernels = torch.cat([phase.cos() * window, phase.sin() * window])[:, None]
        # Constants are no weights: they are computed, not kept in files.
        self.register_buffer("kernels", kernels, persistent=False)
        self.register_buffer("filters", mel_filters(bins * RATE / WINDOW, mels)[:, :, None], persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Frames first: the shape is (N, 1, T, F) with T = 49 for one second."""
        if self.training:
            # bfloat16 would bury quiet bands next to loud ones; networks are exported in evaluation mode only.
            with torch.autocast(audio.device.type, enabled=False):
                return self._log_mel(audio)
        return self._log_mel(audio)

    def _log_mel(self, audio: Tensor) -> Tensor:
        waves = F.conv1d(audio.unsqueeze(1), self.kernels, stride=HOP)  # (N, 2 * bins, T)
        power = waves[:, : self.bins].square() + waves[:, self.bins :].square()  # (N, bins, T)
        energy = F.conv1d(power, self.filters)  # (N, F, T)
        return torch.log(energy + FLOOR).transpose(1, 2).unsqueeze(1)


def mel_filters(frequencies: Tensor, mels: int) -> Tensor:
    """Triangular filters (mels, bins), evenly spaced on the mel scale (HTK's formula).

    Args:
        frequencies: Frequency of each bin in hertz, shape (bins,).
    """
    edges = torch.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), mels + 2)
    places = 2595.0 * torch.log10(1 + frequencies / 700.0)
    up = (places[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - places[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(up, down).clamp(min=0)
    # Low filters are narrower than a bin and may miss every one; they then take the nearest bin.
    empty = filters.sum(dim=1) == 0
    nearest = (places[None] - edges[1:-1, None]).abs().argmin(dim=1)
    filters[empty, nearest[empty]] = 1.0
    return filters


def _mel(hertz: float) -> float:
    return 2595.0 * math.log10(1 + hertz / 700.0)


class Mask(nn.Module):
    """In training, masks one range of frames and one of bands in every spectrogram (Park et al. 2019)."""

    def __init__(self, frames: int, bands: int) -> None:
        super().__init__()
        self.frames, self.bands = frames, bands

    def forward(self, spectrogram: Tensor) -> Tensor:
        """The spectrogram (N, 1, T, F) with masked parts set to 0; unchanged in evaluation."""
        if not self.training:
            return spectrogram
        spectrogram = spectrogram.masked_fill(_stretches(spectrogram, 2, self.frames)[:, None, :, None], 0.0)
        return spectrogram.masked_fill(_stretches(spectrogram, 3, self.bands)[:, None, None, :], 0.0)


def _stretches(tensor: Tensor, axis: int, longest: int) -> Tensor:
    """True over one random stretch of up to `longest` places in each row, shape (N, size of the axis)."""
    n, size = len(tensor), tensor.shape[axis]
    length = torch.randint(0, longest + 1, (n, 1))
    start = (torch.rand(n, 1) * (size - length)).long()
    places = torch.arange(size)[None]
    return ((places >= start) & (places < start + length)).to(tensor.device)


def move(audio: Tensor, generator: Generator, *, samples: int) -> Tensor:
    """Each signal (N, S) shifted in time by up to `samples` values and filled with silence."""
    n, size = audio.shape
    start = torch.randint(0, 2 * samples + 1, (n, 1), generator=generator)
    return F.pad(audio, (samples, samples)).gather(1, start + torch.arange(size)[None])


def scale(audio: Tensor, generator: Generator, *, decibel: float) -> Tensor:
    """Each signal (N, S) made louder or quieter by up to `decibel`."""
    change = decibel * (2 * torch.rand(len(audio), 1, generator=generator) - 1)
    return audio * 10 ** (change / 20)


def add_noise(audio: Tensor, generator: Generator, *, level: float) -> Tensor:
    """Each signal (N, S) plus white noise with a random standard deviation up to `level`."""
    amount = level * torch.rand(len(audio), 1, generator=generator).square()
    return audio + amount * torch.randn(audio.shape, generator=generator)


def stretch(audio: Tensor, generator: Generator, *, share: float) -> Tensor:
    """Each signal (N, S) played faster or slower by up to `share`, around its middle."""
    n, size = audio.shape
    speed = 1 + share * (2 * torch.rand(n, 1, generator=generator) - 1)
    places = (torch.arange(size)[None] - size / 2) * speed + size / 2
    left = places.floor().clamp(0, size - 2)
    weight = places - left
    inside = (places >= 0) & (places <= size - 1)
    index = left.long()
    return torch.where(inside, audio.gather(1, index) * (1 - weight) + audio.gather(1, index + 1) * weight, 0.0)
