"""Networks for speech and sound: commands, transcription, separation, speakers, streaming noise reduction."""

from __future__ import annotations

import torch
from benchmarks.zoo.feeds import Random, masks, numbers, sounds, spectra
from benchmarks.zoo.net import Feeds, Net
from benchmarks.zoo.nets.layers import Attention
from torch import Tensor, nn
from torch.nn import functional


class KeywordConv(nn.Module):
    """Depthwise separable convolutions over a spectrogram (N, 1, T, bands)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers = [nn.Conv2d(1, width, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        for _ in range(3):
            layers += [nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.body, self.head = nn.Sequential(*layers), nn.Linear(width, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


class KeywordResidual(nn.Module):
    """Broadcast residuals: one-dimensional features spread over two dimensions, with sub-spectral norms."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 5, (2, 1), 2), nn.BatchNorm2d(width), nn.ReLU())
        self.across = nn.ModuleList(nn.Conv2d(width, width, (3, 1), padding=(1, 0), groups=width) for _ in range(2))
        self.along = nn.ModuleList(nn.Conv2d(width, width, (1, 3), padding=(0, 1), groups=width) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4 * width) for _ in range(2))
        self.head = nn.Conv2d(width, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for across, along, norm in zip(self.across, self.along, self.norms, strict=True):
            n, c, f, t = x.shape
            flat = norm(across(x).reshape(n, c * 4, f // 4, t)).reshape(n, c, f, t)
            x = (x + flat + functional.silu(along(flat.mean(2, keepdim=True)))).relu()
        return self.head(x.mean((2, 3), keepdim=True)).flatten(1)


class Recognizer(nn.Module):
    """Convolutions, a bidirectional GRU and log-probabilities (T, N, K), as CTC wants them."""

    def __init__(self, bands: int = 32, classes: int = 20) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(bands, 48, 5, 2, 2), nn.BatchNorm1d(48), nn.Hardtanh(0, 20))
        self.rnn = nn.GRU(48, 32, bidirectional=True)
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        seen, _ = self.rnn(self.body(x.transpose(1, 2)).permute(2, 0, 1))
        return self.head(seen).log_softmax(-1)


class ConformerBlock(nn.Module):
    """Half a feed-forward, attention, a gated convolution with batch norm, half a feed-forward."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = self._feed(width), self._feed(width)
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, 4)
        self.before, self.out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.open, self.close = nn.Conv1d(width, 2 * width, 1), nn.Conv1d(width, width, 1)
        self.depth, self.middle = nn.Conv1d(width, width, 7, padding=3, groups=width), nn.BatchNorm1d(width)

    @staticmethod
    def _feed(width: int) -> nn.Sequential:
        return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + 0.5 * self.first(x)
        x = x + self.attention(self.norm(x), bias)
        gated = functional.glu(self.open(self.before(x).transpose(1, 2)), dim=1)
        x = x + self.close(functional.silu(self.middle(self.depth(gated)))).transpose(1, 2)
        return self.out(x + 0.5 * self.last(x))


class Conformer(nn.Module):
    """Two conformer blocks over spectra (N, T, bands); `lengths` (N) says how many frames are speech."""

    def __init__(self, bands: int = 32, width: int = 48) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(bands, width), nn.Linear(width, 20)
        self.blocks = nn.ModuleList(ConformerBlock(width) for _ in range(2))

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        valid = torch.arange(features.shape[1])[None] < lengths[:, None]
        bias = torch.zeros(valid.shape).masked_fill(~valid, -1e9)[:, None, None]
        x = self.stem(features)
        for block in self.blocks:
            x = block(x, bias)
        return self.head(x).log_softmax(-1), lengths


class Waves(nn.Module):
    """Convolutions on raw sound, each normalized over time by group norm, then features at 20 ms."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv1d(1, width, 10, 5, bias=False), nn.GroupNorm(width, width)
        self.more = nn.ModuleList(nn.Conv1d(width, width, size, stride) for size, stride in ((3, 2), (3, 2), (2, 2)))
        self.last, self.head = nn.LayerNorm(width), nn.Linear(width, 16)

    def forward(self, sound: Tensor) -> Tensor:
        sound = (sound - sound.mean(-1, keepdim=True)) / (sound.var(-1, keepdim=True) + 1e-7).sqrt()
        x = functional.gelu(self.norm(self.first(sound[:, None])))
        for layer in self.more:
            x = functional.gelu(layer(x))
        return self.head(self.last(x.transpose(1, 2)))


class TasNet(nn.Module):
    """Two speakers from one sound: learned filters, masks from dilated convolutions, global layer norms."""

    def __init__(self, filters: int = 48, width: int = 32) -> None:
        super().__init__()
        self.filters = filters
        self.encoder = nn.Conv1d(1, filters, 16, 8, bias=False)
        self.decoder = nn.ConvTranspose1d(filters, 1, 16, 8, bias=False)
        self.norm, self.squeeze = nn.GroupNorm(1, filters, eps=1e-8), nn.Conv1d(filters, width, 1)
        self.blocks = nn.ModuleList(self._block(width, 2**place) for place in range(4))
        self.masks = nn.Sequential(nn.PReLU(), nn.Conv1d(width, 2 * filters, 1))

    @staticmethod
    def _block(width: int, dilation: int) -> nn.Sequential:
        spread = nn.Conv1d(2 * width, 2 * width, 3, padding=dilation, dilation=dilation, groups=2 * width)
        return nn.Sequential(
            nn.Conv1d(width, 2 * width, 1),
            nn.PReLU(),
            nn.GroupNorm(1, 2 * width, eps=1e-8),
            spread,
            nn.PReLU(),
            nn.GroupNorm(1, 2 * width, eps=1e-8),
            nn.Conv1d(2 * width, width, 1),
        )

    def forward(self, sound: Tensor) -> Tensor:
        n = sound.shape[0]
        coded = self.encoder(sound[:, None]).relu()
        x = self.squeeze(self.norm(coded))
        for block in self.blocks:
            x = x + block(x)
        shares = self.masks(x).reshape(n, 2, self.filters, -1).sigmoid()
        parts = (shares * coded[:, None]).reshape(n * 2, self.filters, -1)
        return self.decoder(parts).reshape(n, 2, -1)


class Speaker(nn.Module):
    """Three LSTM layers over spectra; the last state, projected to a vector of length one."""

    def __init__(self, bands: int = 40, width: int = 64) -> None:
        super().__init__()
        self.rnn, self.project = nn.LSTM(bands, width, 3, batch_first=True), nn.Linear(width, width)

    def forward(self, frames: Tensor) -> Tensor:
        _, (hidden, _) = self.rnn(frames)
        found = self.project(hidden[-1]).relu()
        return found / found.norm(dim=1, keepdim=True)


class SpeakerPooling(nn.Module):
    """Dilated convolutions with squeeze and excitation, and attentive statistics, as ECAPA pools."""

    def __init__(self, bands: int = 40, width: int = 48) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(bands, width, 5, padding=2), nn.ReLU(), nn.BatchNorm1d(width))
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in (2, 3))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(2))
        self.gate = nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, width), nn.Sigmoid())
        self.look = nn.Sequential(nn.Conv1d(width, 16, 1), nn.Tanh(), nn.Conv1d(16, width, 1))
        self.last, self.head = nn.BatchNorm1d(2 * width), nn.Linear(2 * width, 32)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.stem(frames.transpose(1, 2))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            seen = norm(layer(x).relu())
            x = x + seen * self.gate(seen.mean(2))[:, :, None]
        share = self.look(x).softmax(2)
        mean = (share * x).sum(2)
        spread = ((share * x**2).sum(2) - mean**2).clamp(min=1e-4).sqrt()
        return functional.normalize(self.head(self.last(torch.cat([mean, spread], 1))), dim=1)


class Denoiser(nn.Module):
    """One frame at a time: a gain per band, and the state of a GRU that goes in and comes out."""

    def __init__(self, bands: int = 32, width: int = 48) -> None:
        super().__init__()
        self.stem, self.cell, self.gains = nn.Linear(bands, width), nn.GRUCell(width, width), nn.Linear(width, bands)

    def forward(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        after = self.cell(self.stem(frame).tanh(), state)
        return self.gains(after).sigmoid() * frame, after


class Vad(nn.Module):
    """Speech or not, from a window of sound and the two states of an LSTM, as Silero's detector has them."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(1, width, 64, 32), nn.ReLU(), nn.Conv1d(width, width, 3, 2, 1), nn.ReLU())
        self.rnn, self.head = nn.LSTM(width, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, sound: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen, (h, c) = self.rnn(self.stem(sound[:, None]).transpose(1, 2), (h.transpose(0, 1), c.transpose(0, 1)))
        return self.head(seen.mean(1)).sigmoid(), h.transpose(0, 1), c.transpose(0, 1)


class Vocoder(nn.Module):
    """Sound from spectra (N, bands, T): transposed convolutions and weight-normalized residuals."""

    def __init__(self, bands: int = 20, width: int = 32) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.first = norm(nn.Conv1d(bands, width, 7, padding=3))
        self.ups = nn.ModuleList(norm(nn.ConvTranspose1d(width >> k, width >> k + 1, 8, 4, 2)) for k in range(2))
        self.rest = nn.ModuleList(norm(nn.Conv1d(width >> k + 1, width >> k + 1, 3, padding=1)) for k in range(2))
        self.last = norm(nn.Conv1d(width >> 2, 1, 7, padding=3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for up, rest in zip(self.ups, self.rest, strict=True):
            x = up(functional.leaky_relu(x, 0.1))
            x = x + rest(functional.leaky_relu(x, 0.1))
        return self.last(functional.leaky_relu(x)).tanh()


def speech(r: Random) -> Feeds:
    """Spectra with the number of frames that are speech."""
    return {"features": spectra(r, 48, 32), "lengths": masks(r, 48, 16).sum(1)}


def window(r: Random) -> Feeds:
    """A window of sound and the states from before."""
    return {"sound": sounds(r, 512), "h": 0.3 * numbers(r, 1, 32), "c": 0.3 * numbers(r, 1, 32)}


NETS = (
    Net("kws-separable", "speech", KeywordConv, lambda r: {"x": spectra(r, 49, 10)[:, None]}),
    Net("kws-broadcast", "speech", KeywordResidual, lambda r: {"x": spectra(r, 32, 32)[:, None]}),
    Net("crnn-ctc", "speech", Recognizer, lambda r: {"x": spectra(r, 40, 32)}, int8="dynamic"),
    Net("conformer", "speech", Conformer, speech, int8="dynamic"),
    Net("raw-wave-encoder", "speech", Waves, lambda r: {"sound": sounds(r, 4000)}, int8="dynamic"),
    Net("tasnet", "speech", TasNet, lambda r: {"sound": sounds(r, 2000)}),
    Net("speaker-lstm", "speech", Speaker, lambda r: {"frames": spectra(r, 24, 40)}, int8="dynamic"),
    Net("speaker-statistics", "speech", SpeakerPooling, lambda r: {"frames": spectra(r, 48, 40)}),
    Net(
        "denoiser-streaming",
        "streaming",
        Denoiser,
        lambda r: {"frame": numbers(r, 32), "state": numbers(r, 48).clip(-1, 1)},
        int8="dynamic",
    ),
    Net("vad-streaming", "streaming", Vad, window, int8="dynamic"),
    Net("vocoder", "generator", Vocoder, lambda r: {"x": spectra(r, 24, 20).transpose(0, 2, 1).copy()}),
    Net(
        "speaker-any-length",
        "speech",
        SpeakerPooling,
        lambda r: {"frames": spectra(r, 48, 40)},
        inputs=("frames:float32[N,T,40]",),
        sizes=("T=48",),
    ),
)
