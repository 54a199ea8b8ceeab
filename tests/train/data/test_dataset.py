from __future__ import annotations

import numpy as np

from edgekit.train.data.dataset import stratified_rows
from edgekit.train.data.digits import digits


def test_stratified_rows_keep_the_share_of_every_class_and_copies_together() -> None:
    rows = np.random.default_rng(0).integers(0, 9, (200, 6)).astype(np.float32)
    rows[100:] = rows[:100]
    labels = np.tile(np.arange(100) % 4, 2)

    rest, chosen = stratified_rows(rows, labels, 0.2)

    assert np.bincount(labels[chosen]).tolist() == [10, 10, 10, 10]
    assert not {row.tobytes() for row in rows[rest]} & {row.tobytes() for row in rows[chosen]}


def test_the_order_of_the_rows_plays_no_part() -> None:
    rows = np.random.default_rng(0).standard_normal((100, 3))
    labels = np.arange(100) % 2
    order = np.random.default_rng(1).permutation(100)

    _, chosen = stratified_rows(rows, labels, 0.3)
    _, again = stratified_rows(rows[order], labels[order], 0.3)

    assert set(order[again]) == set(chosen)


def test_digits_are_split_by_class_without_overlap() -> None:
    found = digits()

    train, test = found.train.inputs["image"], found.test.inputs["image"]
    assert (len(train), len(test)) == (1347, 450)
    assert found.test.labels is not None
    assert np.bincount(found.test.labels).min() >= 43
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}
