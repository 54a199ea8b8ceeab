"""TrainOptions: every setting of a training, and how texts change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from edgekit.core.errors import UserError, unknown
from edgekit.core.system.native.types import prepared

Optimizer = Literal["sgd", "momentum", "rmsprop", "adam", "adamw"]
Loss = Literal["cross-entropy", "mse", "bce", "kl", "l1"]
Precision = Literal["32-true", "bf16-mixed"]
Schedule = Literal["constant", "cosine", "step", "linear", "one-cycle"]


class TrainOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a model is trained.

    `batch_size` counts samples over all processes. An epoch is `passes` runs over the training set, followed by
    validation and a checkpoint. `momentum` applies to `momentum` and `rmsprop`, and is beta1 of the
    Adam family. `weight_decay` is the L2 penalty (decoupled for adamw), `l1` the factor of the sum of absolute
    weights. `mixup` is the parameter of its Beta distribution, `clip` the largest gradient norm (0: no limit).
    `average` is the decay of the running mean of weights that is kept as the result (0: the weights themselves).
    `patience` ends the training after that many epochs without a better validation score (0: never). `dropout`
    replaces the rate of every dropout layer. `restarts` are further attempts from new random weights if the floor is
    missed on the training data. `threads` 0 lets torch choose. `precision` bf16-mixed keeps the weights in float32
    and multiplies in bfloat16; `channels_last` is the memory layout in which CPUs convolve images fastest. `qat` trains
    with the rounding of int8, and keeps no running mean of weights.
    """

    epochs: int = 10
    passes: int = 1
    batch_size: int = 64
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    l1: float = 0.0
    loss: Loss = "cross-entropy"
    label_smoothing: float = 0.0
    schedule: Schedule = "cosine"
    warmup_epochs: float = 0.0
    dropout: float | None = None
    augment: bool = True
    mixup: float = 0.0
    clip: float = 0.0
    average: float = 0.0
    patience: int = 0
    restarts: int = 0
    threads: int = 0
    precision: Precision = "32-true"
    channels_last: bool = False
    accelerator: str = "cpu"
    qat: bool = False


_LIMITS: Final[dict[str, tuple[float, float]]] = {
    "epochs": (1, 1e6),
    "passes": (1, 1e6),
    "batch_size": (1, 1e6),
    "learning_rate": (0, 1e3),
    "momentum": (0, 1),
    "weight_decay": (0, 1e3),
    "l1": (0, 1e3),
    "label_smoothing": (0, 1),
    "warmup_epochs": (0, 1e6),
    "dropout": (0, 1),
    "mixup": (0, 100),
    "clip": (0, 1e6),
    "average": (0, 1),
    "patience": (0, 1e6),
    "restarts": (0, 1000),
    "threads": (0, 256),
}


def with_overrides(options: TrainOptions, overrides: Mapping[str, str]) -> TrainOptions:
    """`options` changed by texts, e.g. `{"optimizer": "adam"}`.

    Raises:
        UserError: The name is unknown (the nearest is suggested), or the value has the wrong type or size.
    """
    changes = {name.strip().replace("-", "_"): value.strip() for name, value in overrides.items()}
    for name in changes:
        if name not in TrainOptions.__struct_fields__:
            raise unknown("training option", name, TrainOptions.__struct_fields__)
    found = _checked(msgspec.to_builtins(options) | changes)
    if not found.qat or not found.average:
        return found
    if "average" in changes:
        raise UserError("Weights that are on the steps of int8 have no running mean.", hint="--set average=0")
    return msgspec.structs.replace(found, average=0.0)


def _checked(values: dict[str, Any]) -> TrainOptions:
    try:
        options = msgspec.convert(values, type=prepared(TrainOptions), strict=False)
    except msgspec.ValidationError as err:
        raise UserError(f"Invalid training option: {err}.", hint="--set learning_rate=0.01") from err
    for name, (low, high) in _LIMITS.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise UserError(f"Training option '{name}': expected {low:g} to {high:g}, got {value:g}.")
    return options
