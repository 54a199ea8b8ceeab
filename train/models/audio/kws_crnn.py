"""kws-crnn: keyword spotting with convolutions and a GRU, on the same features as kws-dscnn."""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.core.spec.input_kinds import AudioInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.audio import MELS, LogMel, Mask
from edgekit.train.data.speech import LABELS, LICENCE, speech_commands12
from edgekit.train.model import ReferenceModel
from edgekit.train.models.audio.kws_dscnn import INPUT, augment
from edgekit.train.options import TrainOptions


class Crnn(nn.Module):
    """Log-mel front end, two convolutions, a GRU over 13 steps, one dense layer on its last state."""

    def __init__(self, channels: int = 32, hidden: int = 96) -> None:
        super().__init__()
        self.frontend = LogMel()
        self.norm = nn.BatchNorm1d(MELS)
        self.mask = Mask(frames=6, bands=6)
        self.features = nn.Sequential(
            nn.Conv2d(1, channels, 5, stride=2, padding=2, bias=False),  # (N, C, 25, 20)
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),  # (N, C, 13, 10)
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.drop = nn.Dropout(0.3)
        self.gru = nn.GRU(channels * 10, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(LABELS))

    def forward(self, audio: Tensor) -> Tensor:
        """Logits (N, 12) of one second of audio (N, 16000) from -1 to 1."""
        spectrogram = self.frontend(audio)  # (N, 1, 49, 40)
        x = self.norm(spectrogram.squeeze(1).transpose(1, 2)).transpose(1, 2).unsqueeze(1)
        x = self.features(self.mask(x))  # (N, C, 13, 10)
        steps = x.transpose(1, 2).flatten(2)  # (N, 13, C * 10)
        states, _ = self.gru(self.drop(steps))  # (N, 13, hidden)
        return self.head(self.drop(states[:, -1]))


def build() -> nn.Module:
    """The untrained network."""
    return Crnn()


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="kws-crnn",
        task="classification",
        summary="CRNN for keyword spotting in raw audio",
        inputs=(INPUT,),
        outputs=(TensorSpec("logits", "float32", ("N", len(LABELS))),),
        labels=LABELS,
        preprocessing=AudioInput(16_000, 16_000),
        metric=Metric("accuracy", floor=0.87),
        licence=LICENCE,
    ),
    build=build,
    location="edgekit.train.models.audio.kws_crnn:build",
    data=speech_commands12,
    dataset="speech_commands12",
    options=TrainOptions(
        epochs=80,
        batch_size=32,
        learning_rate=3e-3,
        weight_decay=2e-2,
        label_smoothing=0.05,
        warmup_epochs=2,
        average=0.995,
        clip=1.0,
        precision="bf16-mixed",
        channels_last=True,
        threads=1,
    ),
    augment=augment,
)
