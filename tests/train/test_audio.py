from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import stft

from edgekit.train.audio import HOP, RATE, WINDOW, LogMel, Mask, mel_filters, move, stretch


def test_the_front_end_agrees_with_a_fourier_transform() -> None:
    audio = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    front = LogMel().eval()

    found = front(torch.from_numpy(audio)[None])[0, 0].numpy()

    # scipy divides by the sum of the window; periodic Hann as in torch.
    window = torch.hann_window(WINDOW).numpy()
    _, _, spectrum = stft(audio, RATE, window, WINDOW, WINDOW - HOP, boundary=None, padded=False, scaling="spectrum")
    power = np.abs(spectrum * window.sum()) ** 2  # (257, T)
    bins = torch.arange(1, front.bins + 1)
    energy = mel_filters(bins * RATE / WINDOW, 40).numpy() @ power[1 : front.bins + 1]
    assert found.shape == (49, 40)
    assert np.allclose(found, np.log(energy + 1e-6).T, atol=1e-3)


def test_every_mel_filter_sees_some_bin() -> None:
    filters = mel_filters(torch.arange(1, 244) * RATE / WINDOW, 40)

    assert bool((filters.sum(dim=1) > 0).all())
    assert bool((filters >= 0).all())


def test_a_tone_is_loudest_in_its_own_band() -> None:
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)[None]

    bands = LogMel().eval()(tone)[0, 0].mean(0)

    edges = 700 * (10 ** (torch.linspace(31.75, 2786.0, 42) / 2595) - 1)
    assert edges[bands.argmax()] < 1000 < edges[bands.argmax() + 2]


def test_masks_hide_in_training_only() -> None:
    mask, spectrogram = Mask(5, 5), torch.ones(32, 1, 49, 40)

    assert torch.equal(mask.eval()(spectrogram), spectrogram)
    assert bool((mask.train()(spectrogram) == 0).any())


@pytest.mark.parametrize("change", [lambda a, g: move(a, g, samples=100), lambda a, g: stretch(a, g, share=0.1)])
def test_augmented_audio_keeps_its_length_and_follows_the_generator(change: object) -> None:
    audio = torch.randn(4, 1000)
    assert callable(change)

    one, two = (change(audio, torch.Generator().manual_seed(3)) for _ in range(2))

    assert one.shape == audio.shape
    assert torch.equal(one, two)
    assert not torch.equal(one, audio)
