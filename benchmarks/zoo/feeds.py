"""Realistic samples: crops of two photographs, sounds of voiced speech, words by their frequency, tables, points."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from benchmarks.zoo.net import COUNT, Feeds

Random = np.random.Generator
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@cache
def _photographs() -> tuple[np.ndarray, ...]:
    """The two photographs that scikit-learn ships, (427, 640, 3), 0 to 1."""
    from sklearn.datasets import load_sample_images

    return tuple(np.asarray(image, np.float32) / 255 for image in load_sample_images().images)


def crops(random: Random, size: int | tuple[int, int], count: int = COUNT) -> np.ndarray:
    """Crops of photographs, enlarged or reduced to `size` and at times mirrored, (N, 3, H, W), 0 to 1."""
    height, width = (size, size) if isinstance(size, int) else size
    found = []
    for place in range(count):
        photograph = _photographs()[place % 2]
        side = int(random.integers(120, 420))
        top, left = random.integers(0, 427 - side), random.integers(0, 640 - side)
        rows = top + (np.arange(height) * side / height).astype(int)
        columns = left + (np.arange(width) * side / width).astype(int)
        crop = photograph[rows][:, columns[:: random.choice([-1, 1])]]
        found.append((crop * random.uniform(0.7, 1.1)).clip(0, 1).transpose(2, 0, 1))
    return np.stack(found).astype(np.float32)


def pictures(random: Random, size: int | tuple[int, int], count: int = COUNT) -> np.ndarray:
    """The same with the mean and the deviation that networks of ImageNet take off, (N, 3, H, W)."""
    scaled = (crops(random, size, count) - _MEAN[:, None, None]) / _STD[:, None, None]
    return np.ascontiguousarray(scaled, np.float32)


def grey(random: Random, size: int | tuple[int, int]) -> np.ndarray:
    """Grey crops, (N, 1, H, W), 0 to 1."""
    return np.ascontiguousarray(crops(random, size).mean(1, keepdims=True), np.float32)


def sounds(random: Random, length: int, rate: int = 16000) -> np.ndarray:
    """Voiced sounds with moving pitch, formants, pauses and a little noise, (N, length), -1 to 1."""
    time = np.arange(length) / rate
    found = []
    for _ in range(COUNT):
        pitch = random.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(1, 4) * time))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        formants = random.uniform([300, 900, 2200], [800, 2000, 3200])
        sound = np.zeros(length)
        for harmonic in range(1, 24):
            centre = harmonic * pitch.mean()
            strength = sum(np.exp(-(((centre - one) / 200) ** 2)) for one in formants) + 0.02
            sound += strength / harmonic**0.5 * np.sin(harmonic * phase)
        envelope = np.clip(np.sin(2 * np.pi * random.uniform(1.5, 4) * time + random.uniform(0, 6)), 0.02, 1)
        sound = sound * envelope + 0.01 * random.normal(size=length)
        found.append(sound / np.abs(sound).max() * random.uniform(0.3, 0.9))
    return np.stack(found).astype(np.float32)


def spectra(random: Random, frames: int, bands: int) -> np.ndarray:
    """Logarithms of the energy of such sounds in `bands` bands, (N, frames, bands), about -2 to 2."""
    hop = 160
    sound = sounds(random, frames * hop + 240)
    cut = np.stack([sound[:, place * hop : place * hop + 400] for place in range(frames)], 1) * np.hanning(400)
    power = np.abs(np.fft.rfft(cut, 512)) ** 2
    edges = np.linspace(0, 257**0.5, bands + 1) ** 2
    energy = [power[..., int(low) : max(int(low) + 1, int(high))].mean(-1) for low, high in pairwise(edges)]
    logs = np.log(np.stack(energy, -1) + 1e-4)
    return ((logs - logs.mean()) / logs.std()).astype(np.float32)


def words(random: Random, vocabulary: int, length: int, first: int = 1) -> np.ndarray:
    """Ids of words, the frequent ones small, (N, length)."""
    ids = first + (random.zipf(1.3, size=(COUNT, length)) - 1) % (vocabulary - first)
    return ids.astype(np.int64)


def masks(random: Random, length: int, least: int = 3) -> np.ndarray:
    """1 for the valid positions, which come first: at least `least`, and all of them in the first sample."""
    valid = random.integers(least, length + 1, COUNT)
    valid[0] = length
    return (np.arange(length)[None] < valid[:, None]).astype(np.int64)


def text(random: Random, vocabulary: int, length: int, padding: int = 0) -> Feeds:
    """Tokens of sentences, padded behind, with their mask."""
    mask = masks(random, length)
    ids = np.where(mask, words(random, vocabulary, length, first=3), padding)
    return {"input_ids": ids.astype(np.int64), "attention_mask": mask}


def series(random: Random, length: int, channels: int) -> np.ndarray:
    """Seasons, a trend and noise, (N, length, channels)."""
    time = np.arange(length)[None, :, None]
    period = random.uniform(6, 40, (COUNT, 1, channels))
    level = random.normal(size=(COUNT, 1, channels)) + random.normal(size=(COUNT, 1, channels)) * time / length
    wave = np.sin(2 * np.pi * time / period + random.uniform(0, 6, (COUNT, 1, channels)))
    return (level + wave + 0.2 * random.normal(size=(COUNT, length, channels))).astype(np.float32)


def numbers(random: Random, *shape: int) -> np.ndarray:
    """Independent normal numbers, (N, *shape)."""
    return random.normal(size=(COUNT, *shape)).astype(np.float32)


def choices(random: Random, sizes: tuple[int, ...]) -> np.ndarray:
    """A category of every column, the frequent ones small, (N, columns)."""
    return np.stack([(random.zipf(1.5, COUNT) - 1) % size for size in sizes], 1).astype(np.int64)


def clouds(random: Random, points: int) -> np.ndarray:
    """Points on noisy ellipsoids, (N, 3, points)."""
    normal = random.normal(size=(COUNT, 3, points))
    sphere = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return (sphere * random.uniform(0.3, 1, (COUNT, 3, 1)) + 0.02 * normal).astype(np.float32)
