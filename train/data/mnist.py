"""MNIST and Fashion-MNIST: 28x28 greyscale images in four idx files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.core.samples import Array, Samples
from edgekit.train.data.dataset import Dataset, dataset, hold_back
from edgekit.train.data.dataset_files import find
from edgekit.train.data.idx import read_labelled_images

TRAIN = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
FILES = (*TRAIN, *TEST)
VALIDATION_SHARE = 0.05


def mnist(data: Path | None = None) -> Dataset:
    """60,000 handwritten digits for training (5 % of every class for validation) and 10,000 for testing."""
    return _read("mnist", data, "MNIST, CC BY-SA 3.0 (Y. LeCun, C. Cortes, C. J. C. Burges)")


def fashion(data: Path | None = None) -> Dataset:
    """Images of clothing in ten classes; all training images of the file, and 10,000 for testing."""
    return _read("fashion_mnist", data, "MIT (Zalando SE)")


def _read(name: str, data: Path | None, licence: str) -> Dataset:
    folder = find(name, FILES, data)
    train, validation = hold_back(_samples(*read_labelled_images(folder, *TRAIN)), VALIDATION_SHARE)
    test = _samples(*read_labelled_images(folder, *TEST))
    return dataset(train, test, source=name, licence=licence, validation=validation)


def _samples(pixels: Array, labels: Array) -> Samples:
    images = pixels.astype(np.float32)[:, None] / np.float32(255)
    return Samples({"image": images}, labels.astype(np.int64))
