"""Jobs of the tiny models, for devices that are tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.core.job import Job
from edgekit.core.samples import Array, write_arrays
from edgekit.core.system.files import sha256_file

DATA = Path(__file__).parents[1] / "runtime" / "data"
X = np.array([[1.0, 2.0, 4.0]], dtype=np.float32)
Y = np.array([[-0.5, -4.25]], dtype=np.float32)
"""What the linear model answers to X."""


def job_of(
    name: str,
    folder: Path,
    *,
    feeds: dict[str, Array] | None = None,
    time_limit_s: float = 0.02,
    min_values: int = 3,
) -> Job:
    """A short job of one of the tiny models; on X and -X unless other feeds are given."""
    write_arrays(folder / "feeds.npz", feeds or {"0:x": X, "1:x": -X})
    return Job(
        artifact=str(DATA / name),
        sha256=sha256_file(DATA / name),
        format=name.rpartition(".")[2],
        feeds=str(folder / "feeds.npz"),
        outputs=str(folder / "outputs.npz"),
        time_limit_s=time_limit_s,
        min_values=min_values,
        max_values=max(9, min_values),
    )
