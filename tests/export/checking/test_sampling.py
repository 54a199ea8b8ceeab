"""How many samples are answered: all, or as many as fit into memory, from everywhere in the set."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.checking.sampling import bounded

TOKENS = TensorSpec("tokens", "int64", ("N", "T"))
SAMPLES = Samples({"tokens": np.repeat(np.arange(100)[:, None], 8, axis=1)})


def spec_of(*shape: str | int) -> ModelSpec:
    return ModelSpec("m", "other", (TOKENS,), (TensorSpec("scores", "float32", shape),) if shape else ())


@pytest.mark.parametrize(
    ("shape", "limit", "count"),
    [
        (("N", "T", 10), 100 * 8 * 10 * 4, 100),
        (("N", "T", 10), 20 * 8 * 10 * 4, 20),
        (("N", "T", 10), 1, 1),
        (("N", "unknown", 10), 40 * 50, 50),
        ((), 1, 100),
    ],
    ids=["all fit", "a fifth fits", "one is left", "free axis of no input", "outputs not known"],
)
def test_as_many_samples_are_kept_as_have_room_for_their_answers(
    shape: tuple[str | int, ...], limit: int, count: int
) -> None:
    assert len(bounded(SAMPLES, spec_of(*shape), limit)) == count


def test_the_kept_samples_come_from_everywhere() -> None:
    kept = bounded(SAMPLES, spec_of("N", "T", 10), 5 * 320)

    assert kept.inputs["tokens"][:, 0].tolist() == [0, 24, 49, 74, 99]
