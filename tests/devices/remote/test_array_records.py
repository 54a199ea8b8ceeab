"""Arrays as the C runner and the browser read them."""

from __future__ import annotations

import numpy as np

from edgekit.core.samples import Feed
from edgekit.devices.remote.array_records import packed, unpacked


def test_a_scalar_stays_a_scalar() -> None:
    arrays: Feed = {"0:rate": np.asarray(16000, np.int64), "0:x": np.ones((2, 3), np.float32)}

    found = unpacked(packed(arrays))

    assert {key: array.shape for key, array in found.items()} == {"0:rate": (), "0:x": (2, 3)}
    assert found["0:rate"] == 16000
