"""The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn; needs no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.core.samples import Samples
from edgekit.core.system.optional import need
from edgekit.train.data.dataset import Dataset, dataset, stratified_rows

LICENCE = (
    "CC BY 4.0 (E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository)"
)
TEST_SHARE = 0.25


def digits(data: Path | None = None) -> Dataset:
    """Images float32 (S, 1, 8, 8) from 0 to 1; a quarter of every class is the test set. `data` is not used."""
    bunch = need("sklearn.datasets", extra="train").load_digits()
    images = (bunch.images / 16.0).astype(np.float32)[:, None]
    labels = bunch.target.astype(np.int64)
    rest, test = stratified_rows(images, labels, TEST_SHARE)
    whole = Samples({"image": images}, labels)
    return dataset(whole.take(rest), whole.take(test), source="scikit-learn load_digits", licence=LICENCE)
