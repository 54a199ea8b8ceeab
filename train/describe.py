"""What a listing tells of a reference model: task, size, work, quality, and whether its weights are there."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import msgspec

from edgekit.core.generated import generated
from edgekit.core.need import need
from edgekit.core.report import Estimate
from edgekit.train.model import ReferenceModel
from edgekit.train.registry import MODELS
from edgekit.train.shipping import Card, read_card
from edgekit.train.weights import shipped_card, shipped_weights

if TYPE_CHECKING:
    from torch import nn


class ModelFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One reference model. `macs` are multiplications of one sample at the smallest sizes of its free axes.

    `weights` is `shipped`, or what to do first and why.
    """

    name: str
    summary: str
    task: str
    parameters: int
    macs: int
    metric: str = ""
    floor: float | None = None
    quality: Estimate | None = None
    weights: str = "shipped"


def describe(name: str) -> ModelFacts:
    """The facts of one reference model; builds its network.

    Raises:
        UserError: An unknown name.
        MissingExtra: torch is not installed.
    """
    need("torch", extra="train")
    model: ReferenceModel = MODELS.get(name)
    module = model.build().eval()
    card = card_of(name)
    metric = model.spec.metric
    return ModelFacts(
        name=name,
        summary=model.spec.summary,
        task=model.spec.task,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        macs=macs_of(model, module),
        metric=metric.name if metric else "",
        floor=metric.floor if metric else None,
        quality=card.score.estimate if card else None,
        weights="shipped"
        if shipped_weights(name)
        else f"train first ({model.terms})"
        if model.terms
        else "train first",
    )


def card_of(name: str) -> Card | None:
    """The card of the shipped weights, or None."""
    path = shipped_card(name)
    return read_card(path) if path else None


def macs_of(model: ReferenceModel, module: nn.Module) -> int:
    """Multiply-accumulate operations of one sample in convolutions and matrix products, as torch counts them."""
    torch = need("torch", extra="train")
    counter = need("torch.utils.flop_counter", extra="train").FlopCounterMode(display=False)
    sizes = {axis: (min(model.spec.sizes_of(axis)),) for axis in model.spec.free_axes}
    sizes |= {model.spec.batch_axis: (1,)} if model.spec.batch_axis else {}
    feed = generated(msgspec.structs.replace(model.spec, sizes=sizes), count=1).inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # switching oneDNN off warns of a feature of Intel GPUs
        # Without oneDNN a recurrent layer is taken apart into the products that are counted.
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), counter:
            module(*(torch.from_numpy(array) for array in feed.values()))
    return int(counter.get_total_flops()) // 2
