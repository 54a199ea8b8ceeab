"""The data sets: a new one is one file and one line here."""

from __future__ import annotations

from edgekit.core.registry import Registry

DATASETS = Registry(
    "dataset",
    {
        "digits": ("edgekit.train.data.digits:digits", "1,797 handwritten digits, 8x8; comes with scikit-learn"),
        "mnist": ("edgekit.train.data.mnist:mnist", "70,000 handwritten digits, 28x28"),
        "fashion_mnist": ("edgekit.train.data.mnist:fashion", "70,000 articles of clothing in ten classes, 28x28"),
    },
    group="edgekit.datasets",
)
