"""A decoder continues a prompt until the text ends, the limit is reached, or it has no room."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.sequences.generation import generate

WORDS = ("<pad>", "<unknown>", "<begin>", "<end>", "a", "b", "c", "d")
LENGTH = 8
SPEC = ModelSpec(
    "alphabet",
    "generation",
    (TensorSpec("tokens", "int64", ("N", "T")), TensorSpec("place", "int64", ("N", 1))),
    (TensorSpec("logits", "float32", ("N", "T", len(WORDS))), TensorSpec("place_next", "int64", ("N", 1))),
    sizes={"T": (1, 4)},
    preprocessing=TextInput(WORDS, LENGTH, begin=2),
    postprocessing=TextOutput(WORDS, 3, LENGTH),
    states={"place_next": "place"},
)


def following(feed: Mapping[str, object]) -> Feed:
    """After each letter the next one, after the last the end; what was read is counted."""
    tokens, place = np.asarray(feed["tokens"]), np.asarray(feed["place"])
    wanted = np.where(tokens == len(WORDS) - 1, 3, np.maximum(tokens + 1, 4))
    logits = np.eye(len(WORDS), dtype=np.float32)[wanted]
    return {"logits": logits, "place_next": place + tokens.shape[1]}


def test_the_text_goes_on_until_it_ends() -> None:
    ticks = itertools.count(0, 1_000_000_000)

    found = generate(following, SPEC, "a b", 5, clock=lambda: next(ticks))

    assert (found.text, found.prompt, found.tokens) == ("c d", (2, 4, 5), (6, 7))
    assert (found.first_token_s, found.prefill_rate) == (1.0, 3.0)
    assert (found.decoded, found.decode_s, found.decode_rate) == (2, 1.0, 2.0)


def test_the_text_has_no_more_tokens_than_asked_for() -> None:
    found = generate(following, SPEC, "a", 1)

    assert (found.text, found.decoded, found.decode_rate) == ("b", 0, None)


def test_an_unknown_word_is_one_and_an_empty_prompt_is_the_beginning() -> None:
    assert generate(following, SPEC, "zebra", 1).prompt == (2, 1)
    assert generate(following, SPEC, "", 2).text == "a b"


@pytest.mark.parametrize(("prompt", "count", "hint"), [("a b c", 6, "--max-tokens 5"), ("a " * 9, 1, "Shorten")])
def test_what_does_not_fit_is_refused_with_what_does(prompt: str, count: int, hint: str) -> None:
    with pytest.raises(UserError, match="the model holds 8") as refused:
        generate(following, SPEC, prompt, count)

    assert hint in refused.value.hint


def test_other_models_do_not_continue_a_prompt() -> None:
    spec = ModelSpec("net", "other", SPEC.inputs, SPEC.outputs)

    with pytest.raises(UserError, match="not a decoder with a cache"):
        generate(following, spec, "a", 1)
