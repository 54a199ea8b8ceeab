"""kws-dscnn: keyword spotting in raw 16 kHz audio with depthwise separable convolutions."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from edgekit.core.spec.input_kinds import AudioInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.audio import MELS, LogMel, Mask, add_noise, move, scale, stretch
from edgekit.train.data.speech import LABELS, LICENCE, speech_commands12
from edgekit.train.model import Batch, ReferenceModel
from edgekit.train.options import TrainOptions

INPUT = TensorSpec("audio", "float32", ("N", 16_000), low=-1.0, high=1.0)


class Separable(nn.Sequential):
    """A 3x3 depthwise convolution, then a 1x1 convolution over the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )


class DsCnn(nn.Module):
    """Log-mel front end, one convolution, four separable ones, the mean over time and bands, one dense layer."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.frontend = LogMel()
        self.norm = nn.BatchNorm1d(MELS)
        self.mask = Mask(frames=6, bands=6)
        self.features = nn.Sequential(
            nn.Conv2d(1, channels, (10, 8), stride=(2, 4), padding=(4, 2), bias=False),  # (N, C, 24, 10)
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            *(Separable(channels) for _ in range(4)),
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(channels, len(LABELS)))

    def forward(self, audio: Tensor) -> Tensor:
        """Logits (N, 12) of one second of audio (N, 16000) from -1 to 1."""
        spectrogram = self.frontend(audio)  # (N, 1, 49, 40)
        x = self.norm(spectrogram.squeeze(1).transpose(1, 2)).transpose(1, 2).unsqueeze(1)
        x = self.features(self.mask(x))  # (N, C, 24, 10)
        return self.head(x.mean((2, 3)))


def build() -> nn.Module:
    """The untrained network."""
    return DsCnn()


def augment(batch: Batch, generator: Generator) -> Batch:
    """Words shifted in time by up to 0.1 s, slower or faster, louder or quieter, with white noise."""
    audio = stretch(batch.inputs["audio"], generator, share=0.08)
    audio = scale(move(audio, generator, samples=1600), generator, decibel=6)
    return batch._replace(inputs={"audio": add_noise(audio, generator, level=0.01)})


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="kws-dscnn",
        task="classification",
        summary="DS-CNN for keyword spotting in raw audio",
        inputs=(INPUT,),
        outputs=(TensorSpec("logits", "float32", ("N", len(LABELS))),),
        labels=LABELS,
        preprocessing=AudioInput(16_000, 16_000),
        metric=Metric("accuracy", floor=0.88),
        licence=LICENCE,
    ),
    build=build,
    location="edgekit.train.models.audio.kws_dscnn:build",
    data=speech_commands12,
    dataset="speech_commands12",
    options=TrainOptions(
        epochs=160,
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
