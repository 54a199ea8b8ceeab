"""The tests of the onnx package pass, are refused by a code, or fail for a reason that is known."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec
import onnx
import pytest
from benchmarks.onnx_suite import RESULTS, Outcome, Suite, cases, explained, judged

from edgekit.core.refusals import REFUSALS


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    # The package divides by zero where it makes what it expects.
    with warnings.catch_warnings(action="ignore"):
        yield


def outcomes(folder: Path, *words: str) -> list[Outcome]:
    return [judged(test, folder) for test in cases() if not words or any(word in test.name for word in words)]


def unexplained(found: list[Outcome]) -> list[Outcome]:
    refused = [one for one in found if one.verdict == "refused" and one.code not in REFUSALS]
    return refused + [one for one in found if one.verdict == "fail" and not explained(one.name)]


def test_a_few_of_the_tests_pass_or_are_refused(tmp_path: Path) -> None:
    found = outcomes(
        tmp_path,
        "test_relu",
        "test_conv_",
        "test_lstm",
        "test_sequence_model",
        "squeezenet",
        "test_split_to_sequence_1",
    )

    assert unexplained(found) == []
    assert {one.verdict for one in found} == {"pass", "refused"}


def test_what_the_page_counts_is_of_the_version_that_is_installed() -> None:
    suite = msgspec.json.decode(RESULTS.read_bytes(), type=Suite)

    assert suite.version == onnx.__version__
    assert unexplained(list(suite.outcomes)) == []


@pytest.mark.slow
def test_all_of_them_end_as_the_page_says(tmp_path: Path) -> None:
    suite = msgspec.json.decode(RESULTS.read_bytes(), type=Suite)

    found = {one.name: (one.verdict, one.code) for one in outcomes(tmp_path)}

    assert {name for name, ended in found.items() if ended[0] == "pass"} >= {
        one.name for one in suite.outcomes if one.verdict == "pass"
    }
