"""A module that returns something else for the same inputs is refused with the reason; what changes nothing is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.messages import ModuleRef
from edgekit.export.torch.call import run_module
from edgekit.export.torch.module import load_module
from edgekit.export.torch.repeatable import refuse_unrepeatable
from edgekit.export.torch.state import copied, tensors_of

FAULTY = Path(__file__).parents[1] / "nets" / "faulty.py"
SPEC = ModelSpec("net", "other", (TensorSpec.parse("x:float32[N,4]"),))
FEED: Feed = {"x": np.ones((2, 4), np.float32)}


def judge(factory: str) -> None:
    module = load_module(ModuleRef(f"{FAULTY}:{factory}"))
    before = copied(tensors_of(module))
    outputs = run_module(module, SPEC, FEED)
    refuse_unrepeatable(module, SPEC, FEED, outputs, before)


def test_random_numbers_are_refused_with_their_operator_and_line() -> None:
    line = FAULTY.read_text().splitlines().index("        return x + torch.randn_like(x)") + 1

    with pytest.raises(UserError, match=rf"'randn_like' at .*faulty.py:{line} `return x") as caught:
        judge("Noisy")

    assert "Make the noise an input" in caught.value.hint


def test_a_buffer_that_is_read_in_the_next_call_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="changes 'past' when it runs") as caught:
        judge("Remembering")

    assert "forward(self, x, past)" in caught.value.hint


def test_a_buffer_that_changes_no_output_is_accepted() -> None:
    judge("Lazy")
