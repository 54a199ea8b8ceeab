"""dcgan: a generator of handwritten digits and a discriminator, trained in turn (Radford et al. 2016).

The discriminator also learns the ten digits, and the generator learns to make images that it recognizes as one digit
each, and all digits equally often (Springenberg 2016). Only the generator is shipped and exported.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.core.reports.report import Estimate
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import ImageOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.statistics.intervals import wilson
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.data.mnist import mnist
from edgekit.train.evaluate import in_batches
from edgekit.train.model import Answer, Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions
from edgekit.train.score import Score, as_estimate, score_of

NOISE = 64
CLASSES = 10
SURE = 0.9
JUDGED = 2000
# Weight of clear digits against real-looking ones, in nats each. Without it the judge was sure of 63 % after 8 epochs,
# with 1.0 of 80 % after 14.
CLEAR = 2.5


class Generator(nn.Module):
    """Noise, projected to 7x7 places and upsampled twice."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ConvTranspose2d(NOISE, 4 * channels, 7, bias=False),  # (N, 4 C, 7, 7)
            nn.BatchNorm2d(4 * channels),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * channels, 2 * channels, 4, 2, 1, bias=False),  # (N, 2 C, 14, 14)
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * channels, 1, 4, 2, 1),  # (N, 1, 28, 28)
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Images (N, 1, 28, 28) from 0 to 1 of noise (N, 64)."""
        return torch.sigmoid(self.body(noise.unsqueeze(2).unsqueeze(3)))


class Discriminator(nn.Module):
    """Two strided convolutions; one number for how real an image looks, and ten for the digit it shows."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, channels, 4, 2, 1),  # (N, C, 14, 14)
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False),  # (N, 2 C, 7, 7)
            nn.BatchNorm2d(2 * channels),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(2 * channels * 49, 1 + CLASSES),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 11) of images (N, 1, 28, 28) from 0 to 1."""
        return self.body(2 * image - 1)


def build() -> nn.Module:
    """The untrained generator."""
    return _initialized(Generator())


def discriminator() -> nn.Module:
    """The untrained discriminator."""
    return _initialized(Discriminator())


def _initialized(module: nn.Module) -> nn.Module:
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)  # as in the paper
    return module


def discriminate(learner: Trainee, batch: Batch) -> Tensor:
    """The discriminator's loss on real and generated images and on digits; the generator gets no gradients."""
    assert learner.companion is not None
    learner.companion.requires_grad_(True)
    real = learner.companion(batch.targets["image"])
    with torch.no_grad():
        made = learner.model(torch.randn_like(batch.inputs["noise"]))
    digits = F.cross_entropy(real[:, 1:], batch.targets["digit"].argmax(1))
    # Real images count 0.9: a discriminator that is never quite sure teaches longer (Salimans et al. 2016).
    return _loss(real, 0.9) + _loss(learner.companion(made), 0.0) + digits


def deceive(learner: Trainee, batch: Batch) -> Tensor:
    """The generator's loss: its images should pass as real and as one digit each; only the generator learns."""
    assert learner.companion is not None
    learner.companion.requires_grad_(False)
    logits = learner.companion(learner.model(torch.randn_like(batch.inputs["noise"])))
    digits = torch.softmax(logits[:, 1:].float(), 1)
    return _loss(logits, 1.0) + CLEAR * (_entropy(digits).mean() - _entropy(digits.mean(0)))


def _entropy(shares: Tensor) -> Tensor:
    return -(shares * torch.log(shares + 1e-8)).sum(-1)


def _loss(logits: Tensor, wanted: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits[:, :1], torch.full_like(logits[:, :1], wanted))


def data(folder: Path | None) -> Dataset:
    """Noise with the digits of MNIST as targets; the test noise has no targets of its own."""
    found = mnist(folder)
    digits = np.eye(CLASSES, dtype=np.float32)[found.train.labels]
    targets = {"image": found.train.inputs["image"], "digit": digits}
    train = Samples({"noise": noise(len(found.train), 1)}, None, targets)
    test = Samples({"noise": noise(JUDGED, 2)}, None, {"real": found.test.inputs["image"][:JUDGED]})
    return dataset(train, test, source="mnist", licence=found.licence)


def noise(count: int, seed: int) -> NDArray[np.float32]:
    """Normal noise (count, 64)."""
    return np.random.default_rng(seed).standard_normal((count, NOISE)).astype(np.float32)


def score(answer: Answer, samples: Samples, spec: ModelSpec) -> Score:
    """The share of images for which a digit classifier is more than 90 % sure, the rarest digit, and FID.

    The classifier is the `mnist` model that comes with edgekit; FID is on its 64 features.
    """
    del spec
    made = in_batches(answer, {"noise": samples.inputs["noise"]})["image"]
    verdict = judged(made)
    sure = int((verdict["probability"].max(axis=1) > SURE).sum())
    counts = np.bincount(verdict["probability"].argmax(axis=1), minlength=10)
    details = {
        "sure": as_estimate(wilson(sure, len(made))),
        "rarest class": as_estimate(wilson(int(counts.min()), len(made))),
    }
    if "real" in samples.targets:
        distance = frechet(verdict["features"], judged(samples.targets["real"])["features"])
        details["fid"] = Estimate(distance, None, None, len(made), "one draw")
    return score_of("sure", details)


def judged(images: Array) -> Feed:
    """The shipped `mnist` model's outputs for images (S, 1, 28, 28): probability (S, 10) and features (S, 64)."""
    judge = _judge()
    with torch.inference_mode():
        features = judge[0](torch.from_numpy(np.ascontiguousarray(images)))
        return {"features": features.numpy(), "probability": torch.softmax(judge[1](features), 1).numpy()}


def frechet(first: Array, second: Array) -> float:
    """Distance of two normal distributions fitted to features (S, F) (Heusel et al. 2017)."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The trace of the root of a product of covariances: its eigenvalues are real and not negative.
    roots = np.sqrt(np.maximum(np.linalg.eigvals(cov_a @ cov_b).real, 0.0)).sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * roots)


@cache
def _judge() -> tuple[nn.Module, nn.Module]:
    """The `mnist` model, cut before its last layer."""
    from edgekit.train.models.images.mnist import MODEL as JUDGE
    from edgekit.train.weights import load_network, require_weights

    network = load_network(JUDGE, require_weights(JUDGE))
    last = network.head[-1]
    network.head[-1] = nn.Identity()
    return network, last


def generate(count: int) -> Samples:
    """Noise, and images with one bright column, whose position is the digit."""
    images = np.zeros((count, 1, 28, 28), dtype=np.float32)
    images[np.arange(count), 0, :, np.arange(count) % 28] = 1.0
    digits = np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]
    return Samples({"noise": noise(count, 0)}, None, {"image": images, "digit": digits})


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="dcgan",
        task="image generation",
        summary="generator of handwritten digits from noise",
        inputs=(TensorSpec("noise", "float32", ("N", NOISE)),),
        outputs=(TensorSpec("image", "float32", ("N", 1, 28, 28), low=0.0, high=1.0),),
        sizes={"N": (1, 8)},
        postprocessing=ImageOutput(),
        metric=Metric("sure", floor=0.85),
        licence="CC BY-SA 3.0",
    ),
    build=build,
    location="edgekit.train.models.images.dcgan:build",
    data=data,
    dataset="mnist",
    options=TrainOptions(
        epochs=27,
        batch_size=128,
        optimizer="adam",
        momentum=0.5,
        learning_rate=4e-4,
        schedule="linear",
        average=0.995,
        precision="bf16-mixed",
        threads=1,
    ),
    losses=(discriminate, deceive),
    companion=discriminator,
    score=score,
    generate=generate,
)
