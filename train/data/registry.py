"""The data sets for training; a new one is one function and one line here."""

from __future__ import annotations

from edgekit.core.system.registry import Registry

DATASETS = Registry(
    "dataset",
    {
        "digits": ("edgekit.train.data.digits:digits", "1,797 digits of 8x8 pixels from scikit-learn, CC BY 4.0"),
        "mnist": ("edgekit.train.data.mnist:mnist", "70,000 digits of 28x28 pixels, CC BY-SA 3.0"),
        "fashion_mnist": ("edgekit.train.data.mnist:fashion", "images of clothing, 28x28 pixels, MIT"),
        "cifar10": ("edgekit.train.data.cifar:cifar10", "colour images of 32x32 pixels, no licence stated"),
        "speech_commands12": ("edgekit.train.data.speech:speech_commands12", "spoken words of one second, CC BY 4.0"),
        "rt_polarity": ("edgekit.train.data.text:rt_polarity", "movie snippets, no licence stated"),
        "multi30k": ("edgekit.train.data.text:multi30k", "English and German sentences, non-commercial research"),
        "ett": ("edgekit.train.data.tables:ett", "hourly measurements of a transformer station, CC BY-ND 4.0"),
        "nab": ("edgekit.train.data.tables:machine_temperature", "a machine's temperature with labelled faults, MIT"),
        "xor": ("edgekit.train.data.synthetic:truth_table", "the truth table of exclusive or, generated"),
        "parabola": ("edgekit.train.data.synthetic:parabola", "y = x², generated"),
    },
    group="edgekit.datasets",
)
