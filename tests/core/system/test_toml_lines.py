"""Lines of keys in TOML as people write it."""

from __future__ import annotations

import pytest

from edgekit.core.system.toml_lines import Place, line_of

TEXT = '''\
# [check] in a comment
[check]
target = ["local"]   # budgets = "no"
budgets = [
    "latency.p90 <= 8 ms",   # of all

    "size <= 1 MB",
]
text = """
[[check.models]]
budgets = 1
"""

[[check.models]]
path = "a.onnx"

[[ "check".models ]]
path = "b.onnx"
budgets = ["size <= 2 MB"]
baseline = "old/b.onnx"
'''


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        (("check", "budgets"), "latency.p90 <= 8 ms", 5),
        (("check", "budgets"), "size <= 1 MB", 7),
        (("check", "budgets"), "", 4),
        (("check", "models", 0), "", 14),
        (("check", "models", 0, "baseline"), "", 14),
        (("check", "models", 1, "budgets"), "size <= 2 MB", 19),
        (("check", "models", 1, "baseline"), "", 20),
        (("check", "nightly"), "", 2),
        (("other",), "", 1),
    ],
)
def test_a_key_has_its_line_or_that_of_what_should_hold_it(place: Place, value: str, line: int) -> None:
    assert line_of(TEXT, place, value) == line


def test_models_in_one_list_are_found_by_what_they_contain() -> None:
    text = 'check.models = [\n  {path = "a.onnx"},\n  {path = "b.onnx", budgets = ["size <= 1 kB"]},\n]\n'

    assert line_of(text, ("check", "models", 1, "budgets"), "size <= 1 kB") == 3
