"""A recipe that cannot be made is kept with its reason, and the others continue."""

from __future__ import annotations

import pytest

from edgekit.core.errors import ConversionFailed, DiskFull, EdgekitError, Refused
from edgekit.core.recipe import parse_recipes
from edgekit.export.recipe_failures import Failures

TWO = parse_recipes("onnx-fp32,tflite-fp32")


def fail(failures: Failures, place: int, err: Exception) -> None:
    with failures.of(TWO[place]):
        raise err


def test_a_failure_is_kept_with_its_reason_and_its_hint() -> None:
    failures = Failures(TWO, keep_going=True)

    fail(failures, 1, Refused("no", hint="--to onnx-fp32", code="strings"))

    (found,) = failures.found
    assert (found.recipe, found.kind, found.message) == ("tflite-fp32", "Refused", "no")
    assert (found.hint, found.code, found.exit_code) == ("--to onnx-fp32", "strings", 2)


def test_the_first_error_is_raised_when_nothing_could_be_made() -> None:
    failures = Failures(TWO, keep_going=True)
    fail(failures, 0, ConversionFailed("first"))

    with pytest.raises(ConversionFailed, match="first"):
        fail(failures, 1, ConversionFailed("second"))


def test_without_keep_going_the_first_error_ends_all() -> None:
    with pytest.raises(ConversionFailed, match="first"):
        fail(Failures(TWO, keep_going=False), 0, ConversionFailed("first"))


def test_two_aliases_of_one_recipe_count_once() -> None:
    failures = Failures(TWO, keep_going=True)
    failures.narrow(1)

    with pytest.raises(ConversionFailed):
        fail(failures, 0, ConversionFailed("the only one"))


def test_a_full_disk_is_no_failure_of_one_recipe() -> None:
    with pytest.raises(DiskFull):
        fail(Failures(TWO, keep_going=True), 0, DiskFull("full"))


def test_a_bug_in_one_recipe_is_reported_as_one() -> None:
    failures = Failures(TWO, keep_going=True)

    fail(failures, 0, ZeroDivisionError("division by zero"))

    (found,) = failures.found
    assert found.exit_code == EdgekitError.exit_code
    assert "ZeroDivisionError: division by zero" in found.message
