"""The reference models: a new one is one file and one line here."""

from __future__ import annotations

from edgekit.core.registry import Registry

MODELS = Registry(
    "model",
    {
        "digits": ("edgekit.train.models.digits:MODEL", "small CNN, 8x8 handwritten digits of scikit-learn"),
        "mnist": ("edgekit.train.models.mnist:MODEL", "three-layer CNN, 28x28 handwritten digits"),
    },
    group="edgekit.models",
)
