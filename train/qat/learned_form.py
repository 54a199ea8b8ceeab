"""Reference models that train with the rounding of int8, and the form of their networks that has the weights."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import fx, nn

from edgekit.core.generated import generated
from edgekit.train.model import ReferenceModel
from edgekit.train.qat.prepare import convert, prepare
from edgekit.train.registry import MODELS

# Ranges of a form are replaced by those of the weights, so that few values are enough to find their places.
_ROWS = 2


def learned(model: ReferenceModel) -> ReferenceModel:
    """`model` with the network that `convert` leaves: what loads the weights of a training with rounding.

    Raises:
        UserError: `build` of the result, where the network cannot be traced or has no layer that could be quantized.
    """
    location = f"{__name__}:{network.__name__}({model.spec.name!r})"
    return replace(model, build=partial(_form, model), location=location)


def network(name: str) -> nn.Module:
    """The network of `learned`, by the name of its reference model."""
    return _form(MODELS.get(name))


def _form(model: ReferenceModel) -> fx.GraphModule:
    inputs = generated(model.spec, count=_ROWS).inputs
    return convert(prepare(model.build(), [torch.from_numpy(one) for one in inputs.values()]))
