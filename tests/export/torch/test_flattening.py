"""Whatever a module returns becomes tensors by name, or an error that says what to return instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.utils import _pytree

from edgekit.core.errors import UserError
from edgekit.export.torch.flattening import flatten

ONE = torch.ones(1)
NORMAL = torch.distributions.Normal(ONE, ONE)
PARTS = ("keys", "values")


@dataclass
class Scores:
    logits: torch.Tensor
    loss: torch.Tensor | None = None
    states: tuple[torch.Tensor, ...] = ()


class Layer:
    def __init__(self) -> None:
        self.keys, self.values = ONE, ONE * 2


class LayeredCache:
    """As transformers 5 has them."""

    def __init__(self) -> None:
        self.layers = [Layer(), Layer()]


class PairCache:
    """As transformers keeps those of an encoder and a decoder."""

    def __init__(self) -> None:
        self.self_attention_cache, self.cross_attention_cache = LayeredCache(), LayeredCache()


class OldCache:
    def __init__(self) -> None:
        self.key_cache, self.value_cache = [ONE], [ONE]


class OpaqueCache:
    """Nothing is known of it."""


class Registered:
    def __init__(self, value: Any) -> None:
        self.value = value


_pytree.register_pytree_node(Registered, lambda one: ([one.value], None), lambda parts, _: Registered(*parts))


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (Scores(ONE, states=(ONE, ONE)), ["logits", "states_0", "states_1"]),
        ({"deep": [{"a": ONE}, (ONE, None)]}, ["deep_0_a", "deep_1_0"]),
        ((ONE, LayeredCache()), ["output_0", *(f"output_1_{layer}_{part}" for layer in "01" for part in PARTS)]),
        ({"y": ONE, "past": OldCache()}, ["y", "past_key_cache_0", "past_value_cache_0"]),
        ({"y": ONE, "more": Registered({"a": ONE})}, ["y", "more_0_a"]),
        (NORMAL, ["loc", "scale"]),
        (torch.distributions.Categorical(logits=torch.zeros(1, 3)), ["logits"]),
        ({"policy": torch.distributions.Independent(NORMAL, 1)}, ["policy_loc", "policy_scale"]),
    ],
)
def test_every_container_is_flattened(result: object, names: list[str]) -> None:
    assert list(flatten(result)) == names


def test_both_caches_of_a_decoder_are_flattened() -> None:
    names = list(flatten({"y": ONE, "past": PairCache()}))

    assert names[1] == "past_self_attention_cache_0_keys"
    assert len(names) == 9


def test_numbers_become_tensors_without_axes() -> None:
    found = flatten({"y": ONE, "count": 3, "share": 0.5, "done": True})

    assert [(value.dtype, value.shape) for value in list(found.values())[1:]] == [
        (torch.int64, ()),
        (torch.float32, ()),
        (torch.bool, ()),
    ]


def test_an_unknown_cache_is_refused_with_the_argument_that_avoids_it() -> None:
    with pytest.raises(UserError, match="returns OpaqueCache in output 'past'") as caught:
        flatten({"y": ONE, "past": OpaqueCache()})

    assert "use_cache=False" in caught.value.hint
