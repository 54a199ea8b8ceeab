"""What a list of reference models shows: task, size, operations, quality, and whether weights are shipped.

`python -m edgekit.train.listing` counts them again for all models and writes a file, which is read without PyTorch.
"""

from __future__ import annotations

import warnings
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edgekit.core.generated import generated
from edgekit.core.reports.report import Estimate
from edgekit.core.system import documents
from edgekit.core.system.optional import need
from edgekit.train.model import ReferenceModel
from edgekit.train.registry import MODELS
from edgekit.train.release_weights import Card, read_card
from edgekit.train.weights import shipped_card, shipped_weights

if TYPE_CHECKING:
    from torch import nn

# 1: first version.
SIZES_SCHEMA: Final = 1
SIZES: Final = "models.json"


class Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a network before any training. `macs` are the multiply-accumulates of one sample at the
    smallest sizes of its dynamic axes, `terms` is why its weights are not shipped.
    """

    name: str
    summary: str
    task: str
    parameters: int
    macs: int
    metric: str = ""
    floor: float | None = None
    terms: str = ""


class ModelSizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The counted sizes of all reference models."""

    models: tuple[Size, ...]
    schema_version: int = SIZES_SCHEMA


class ModelFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One reference model. `macs` are the multiply-accumulates of one sample at the smallest sizes of its dynamic axes.

    `weights` is `shipped`, or what to do first and why; `quality` is the metric of the shipped weights.
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


def known() -> dict[str, ModelFacts]:
    """The facts about all reference models of edgekit, by name; does not need PyTorch."""
    path = Path(str(files("edgekit.train") / "weights" / SIZES))
    return {size.name: _facts(size) for size in documents.read(path, ModelSizes, newest=SIZES_SCHEMA).models}


def count(name: str) -> Size:
    """The size of one reference model; builds its network."""
    need("torch", extra="train")
    model: ReferenceModel = MODELS.get(name)
    module = model.build().eval()
    metric = model.spec.metric
    return Size(
        name=name,
        summary=model.spec.summary,
        task=model.spec.task,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        macs=macs_of(model, module),
        metric=metric.name if metric else "",
        floor=metric.floor if metric else None,
        terms=model.terms,
    )


def _facts(size: Size) -> ModelFacts:
    card = card_of(size.name)
    return ModelFacts(
        name=size.name,
        summary=size.summary,
        task=size.task,
        parameters=size.parameters,
        macs=size.macs,
        metric=size.metric,
        floor=size.floor,
        quality=card.score.estimate if card else None,
        weights=_weights(size),
    )


def _weights(size: Size) -> str:
    if shipped_weights(size.name):
        return "shipped"
    if not size.metric:
        return "none (untrained, for latency tests only)"
    return f"train first ({size.terms})" if size.terms else "train first"


def card_of(name: str) -> Card | None:
    """The card of the shipped weights, or None."""
    path = shipped_card(name)
    return read_card(path) if path else None


def macs_of(model: ReferenceModel, module: nn.Module) -> int:
    """Multiply-accumulates of one sample in convolutions and matrix products, as torch counts them."""
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


def main() -> None:
    """Count all models again."""
    documents.write(Path(__file__).parent / "weights" / SIZES, ModelSizes(tuple(count(name) for name in MODELS.table)))


if __name__ == "__main__":
    main()
