"""Options of a target, as text."""

from __future__ import annotations

import pytest

from edgekit.core.errors import UserError
from edgekit.runtime.backends.target_options import choice, threads_of


def test_one_thread_unless_asked() -> None:
    assert threads_of({}) == 1
    assert threads_of({"threads": "4"}) == 4


@pytest.mark.parametrize("text", ["0", "-1", "two", "257", "", "1.5"])
def test_a_thread_count_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected 1 to 256"):
        threads_of({"threads": text})


def test_an_unknown_choice_offers_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'basic'"):
        choice({"graph": "basics"}, "graph", ("disable", "basic"), "basic")
