"""kws-stream: keyword spotting in a stream of audio, chunk by chunk; what the network has heard is in its states."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekit.core.spec.input_kinds import AudioInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.audio import HOP, MELS, WINDOW, LogMel, Mask
from edgekit.train.data.speech import LABELS, LICENCE, RATE, SAMPLES, speech_commands12
from edgekit.train.model import ReferenceModel
from edgekit.train.models.audio.kws_dscnn import augment
from edgekit.train.options import TrainOptions

CHANNELS, BANDS, LAYERS = 64, 10, 4
STRIDE, FRAMES, STEPS = 2, 10, 25
"""Frames a step, frames that the first convolution reads, and steps whose mean is judged: one second."""
STEP = STRIDE * HOP
"""Samples per step: 40 ms. A chunk is a multiple of it."""

STATES = {
    "window": (WINDOW - HOP,),
    "frames": (1, FRAMES - STRIDE, MELS),
    **{f"past{layer}": (CHANNELS, 2, BANDS) for layer in range(1, LAYERS + 1)},
    "heard": (CHANNELS, STEPS - 1),
}
"""The shape of each state, without the batch."""


class Causal(nn.Module):
    """A 3x3 depthwise convolution that looks back over two steps, then a 1x1 convolution over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.across = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=(0, 1), groups=CHANNELS, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
        )

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, C, S, B) after the convolutions, and the last two steps of it before them."""
        whole = torch.cat([past, x], 2)
        return self.across(whole), whole[:, :, -2:]


class StreamingDsCnn(nn.Module):
    """The network of kws-dscnn without a look into the future: each layer reads what came before from a state."""

    def __init__(self) -> None:
        super().__init__()
        self.frontend = LogMel()
        self.norm = nn.BatchNorm1d(MELS)
        self.mask = Mask(frames=6, bands=6)
        self.first = nn.Sequential(
            nn.Conv2d(1, CHANNELS, (FRAMES, 8), stride=(STRIDE, 4), padding=(0, 2), bias=False),  # (N, C, S, B)
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
        )
        self.layers = nn.ModuleList(Causal() for _ in range(LAYERS))
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(CHANNELS, len(LABELS)))

    def forward(self, audio: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, 12) of the last second until the end of this chunk (N, T) of audio, and the states after it.

        T is a multiple of `STEP`; `states` are those of `STATES`, and zeros without them.
        """
        window, frames, *pasts, heard = states or (audio.new_zeros(len(audio), *shape) for shape in STATES.values())
        sound = torch.cat([window, audio], 1)
        spectrogram = self.mask(self.frontend(sound))  # (N, 1, F, M)
        x = self.norm(spectrogram.squeeze(1).transpose(1, 2)).transpose(1, 2).unsqueeze(1)
        whole = torch.cat([frames, x], 2)
        after = [sound[:, -window.shape[1] :], whole[:, :, -frames.shape[2] :]]
        x = self.first(whole)
        for layer, past in zip(self.layers, pasts, strict=True):
            x, last = layer(x, past)
            after.append(last)
        steps = torch.cat([heard, x.mean(3)], 2)  # (N, C, S)
        after.append(steps[:, :, -heard.shape[2] :])
        return self.head(steps[:, :, -STEPS:].mean(2)), *after


def build() -> nn.Module:
    """The untrained network."""
    return StreamingDsCnn()


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="kws-stream",
        task="classification",
        summary="DS-CNN for keyword spotting in a stream of audio",
        inputs=(
            TensorSpec("audio", "float32", ("N", "T"), low=-1.0, high=1.0),
            *(TensorSpec(name, "float32", ("N", *shape)) for name, shape in STATES.items()),
        ),
        outputs=(
            TensorSpec("logits", "float32", ("N", len(LABELS))),
            *(TensorSpec(f"{name}_next", "float32", ("N", *shape)) for name, shape in STATES.items()),
        ),
        sizes={"T": (STEP, SAMPLES)},
        labels=LABELS,
        preprocessing=AudioInput(RATE, SAMPLES),
        metric=Metric("accuracy", floor=0.87),
        licence=LICENCE,
        states={f"{name}_next": name for name in STATES},
    ),
    build=build,
    location="edgekit.train.models.audio.kws_stream:build",
    data=speech_commands12,
    dataset="speech_commands12",
    options=TrainOptions(
        epochs=120,
        batch_size=32,
        learning_rate=4e-3,
        weight_decay=2e-2,
        label_smoothing=0.05,
        warmup_epochs=2,
        average=0.995,
        precision="bf16-mixed",
        channels_last=True,
        threads=1,
    ),
    augment=augment,
)
