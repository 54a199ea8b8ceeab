"""Learner: a network with its loss, as one module for the training loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.train.model import Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions


class Learner(nn.Module):
    """`model` is the result of the training, `companion` is only trained with it; calling returns one phase's loss."""

    def __init__(self, reference: ReferenceModel, options: TrainOptions) -> None:
        super().__init__()
        self.model = reference.build()
        self.companion = reference.companion() if reference.companion else None
        self.options = options
        self.losses = reference.losses or (supervised,)
        if options.dropout is not None:
            set_dropout(self.model, options.dropout)

    def forward(self, batch: Batch, phase: int) -> Tensor:
        """The loss of one batch, including the `l1` penalty."""
        device = next(iter(batch.inputs.values())).device.type
        # Fabric's own mixed precision would round the inputs too, and the front ends of audio models need them whole.
        with torch.autocast(device, torch.bfloat16, enabled=self.options.precision == "bf16-mixed"):
            loss = self.losses[phase](self, batch)
        if self.options.l1:
            loss = loss + self.options.l1 * sum(p.abs().sum() for p in self.model.parameters() if p.requires_grad)
        return loss


def set_dropout(module: nn.Module, rate: float) -> None:
    """Set the rate of every dropout layer."""
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = rate


def supervised(learner: Trainee, batch: Batch) -> Tensor:
    """`options.loss` of the first output against labels or target values."""
    outputs = learner.model(*batch.inputs.values())
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    wanted = batch.labels if batch.labels is not None else next(iter(batch.targets.values()))
    return loss_of(learner.options, first, wanted)


def loss_of(options: TrainOptions, output: Tensor, wanted: Tensor) -> Tensor:
    """The loss named by `options.loss`, averaged over the batch.

    Args:
        output: Logits (B, K) for cross-entropy, kl and bce; otherwise values.
        wanted: Class indices (B,), or shares (B, K); for mse, l1 and bce the values, of the shape of `output`.
    """
    if options.loss == "cross-entropy":
        return F.cross_entropy(output, wanted, label_smoothing=options.label_smoothing)
    if options.loss == "kl":
        return F.kl_div(F.log_softmax(output, -1), wanted, reduction="batchmean")
    if options.loss == "bce":
        return F.binary_cross_entropy_with_logits(output, wanted.to(output.dtype))
    return (F.mse_loss if options.loss == "mse" else F.l1_loss)(output, wanted)


def mix(batch: Batch, alpha: float, classes: int, generator: torch.Generator) -> Batch:
    """Mixup (Zhang et al. 2018): every row and its label are blended with another one.

    Args:
        alpha: Parameter of the Beta distribution from which the share of the first row is drawn.
    """
    assert batch.labels is not None
    share = _beta(alpha, generator)
    other = torch.randperm(len(batch.labels), generator=generator)
    hot = F.one_hot(batch.labels, classes).to(torch.float32)
    inputs = {name: share * rows + (1 - share) * rows[other] for name, rows in batch.inputs.items()}
    return Batch(inputs, share * hot + (1 - share) * hot[other], batch.targets)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """One draw of Beta(alpha, alpha) by Joehnk's method, for alpha up to 1; the distribution flattens beyond."""
    power = 1 / min(alpha, 1.0)
    while True:
        x, y = (torch.rand(2, generator=generator, dtype=torch.float64) ** power).tolist()
        if 0 < x + y <= 1:
            return float(x / (x + y))
