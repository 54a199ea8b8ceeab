"""A stream gives in chunks what one piece gives, and says which chunks it takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.sequences.stream import Stream

SPEC = ModelSpec(
    "sums",
    "other",
    (TensorSpec("x", "float32", ("N", "T")), TensorSpec("total", "float32", ("N", 1))),
    (
        TensorSpec("sums", "float32", ("N", "T")),
        TensorSpec("last", "float32", ("N", 1)),
        TensorSpec("total_next", "float32", ("N", 1)),
    ),
    sizes={"T": (2, 6)},
    states={"total_next": "total"},
)


class Sums:
    """The running sum of a stream; it takes the sizes of SPEC alone, and counts its runs."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, feed: Mapping[str, object]) -> Feed:
        x, total = np.asarray(feed["x"]), np.asarray(feed["total"])
        assert x.shape[1] in SPEC.sizes["T"]
        self.sizes.append(x.shape[1])
        sums = total + np.cumsum(x, axis=1)
        return {"sums": sums, "last": sums[:, -1:], "total_next": sums[:, -1:]}


def test_chunks_give_what_one_piece_gives() -> None:
    x, net = np.arange(12, dtype=np.float32), Sums()

    whole = Stream(net.run, SPEC).feed(x).outputs
    stream = Stream(net.run, SPEC)
    chunks = [stream.feed(part).outputs for part in (x[:2], x[2:10], x[10:])]

    assert net.sizes == [6, 6, 2, 6, 2, 2]
    assert whole["sums"].tolist() == [np.cumsum(x).tolist()]
    assert np.concatenate([one["sums"] for one in chunks], axis=1).tolist() == whole["sums"].tolist()
    assert chunks[-1]["last"] == whole["last"]


def test_a_reset_begins_a_new_stream_and_two_streams_do_not_meet() -> None:
    net, x = Sums(), np.ones(2, np.float32)
    one, other = Stream(net.run, SPEC), Stream(net.run, SPEC)

    one.feed(x)
    one.feed(x)
    other.feed(x)

    assert (one.states["total"].tolist(), other.states["total"].tolist()) == ([[4.0]], [[2.0]])
    one.reset()
    assert one.feed(x).outputs["last"].tolist() == [[2.0]]


def test_sound_in_integers_is_a_number_from_minus_one_to_one() -> None:
    stream = Stream(Sums().run, SPEC)

    assert stream.feed(np.array([16384, 8192], np.int16)).outputs["last"].tolist() == [[0.75]]


@pytest.mark.parametrize("size", [0, 1, 5])
def test_a_chunk_of_another_size_is_refused_with_those_that_fit(size: int) -> None:
    stream = Stream(Sums().run, SPEC)

    assert stream.step == 2
    with pytest.raises(UserError) as refused:
        stream.feed(np.ones((1, size), np.float32))

    assert size == 0 or "2 or 6, or a sum of these" in refused.value.message


def test_a_model_without_states_has_no_stream() -> None:
    spec = ModelSpec("net", "other", SPEC.inputs, SPEC.outputs)

    with pytest.raises(UserError, match="no states") as refused:
        Stream(Sums().run, spec)

    assert "--state" in refused.value.hint
