"""Promises of core/errors.py."""

from __future__ import annotations

import errno
import json

import pytest

from edgekit.core import errors
from edgekit.core.errors import EdgekitError, from_os_error, from_record, nearest, to_record, unknown, was_interrupted

CODES = {
    "EdgekitError": 70,
    "VerdictFailed": 1,
    "UserError": 2,
    "Refused": 2,
    "Incomplete": 2,
    "EnvironmentFault": 3,
    "MissingExtra": 3,
    "ProviderRefused": 3,
    "DiskFull": 3,
    "DeviceUnavailable": 3,
    "DeviceError": 3,
    "VerdictInconclusive": 4,
    "Unreadable": 5,
    "ModelUnreadable": 5,
    "BundleUnreadable": 5,
    "ConversionFailed": 5,
    "Interrupted": 130,
    "OutputClosed": 141,
}


def error_classes() -> dict[str, type[EdgekitError]]:
    found = vars(errors).items()
    return {name: kind for name, kind in found if isinstance(kind, type) and issubclass(kind, EdgekitError)}


def test_every_error_class_has_the_exit_code_of_the_design() -> None:
    assert {name: kind.exit_code for name, kind in error_classes().items()} == CODES


@pytest.mark.parametrize("name", CODES)
def test_the_tree_in_the_module_shows_every_class_and_the_code_it_sets(name: str) -> None:
    kind = error_classes()[name]
    lines = [line.split() for line in str(errors.__doc__).splitlines()]

    shown = next(words for words in lines if name in words)

    assert "exit_code" not in vars(kind) or str(kind.exit_code) in shown


def test_only_a_verdict_ends_in_one() -> None:
    assert [name for name, code in CODES.items() if code == 1] == ["VerdictFailed"]


def test_an_error_carries_its_message_and_its_hint() -> None:
    err = errors.UserError("No target given.", hint="--target local")

    assert (str(err), err.message, err.hint) == ("No target given.", "No target given.", "--target local")


@pytest.mark.parametrize(
    ("name", "known", "offer"),
    [
        ("onxruntime", ["litert", "onnxruntime"], " Did you mean 'onnxruntime'?"),
        ("KB", ["B", "kB", "MB"], " Did you mean 'kB'?"),
        ("ONNX-FP32", ["onnx-fp32", "tflite-fp32"], " Did you mean 'onnx-fp32'?"),
        ("zzz", ["litert", "onnxruntime"], ""),
        ("zzz", [], ""),
    ],
)
def test_the_nearest_name_is_offered(name: str, known: list[str], offer: str) -> None:
    assert nearest(name, known) == offer


def test_an_unknown_name_without_a_near_one_lists_what_is_known() -> None:
    assert unknown("backend", "zzz", ["onnxruntime", "litert"]).message == (
        "Unknown backend 'zzz'. Known: litert, onnxruntime."
    )
    assert unknown("backend", "zzz", []).message == "Unknown backend 'zzz'. Known: none."


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_used_up_quota_are_disk_full(number: int) -> None:
    err = from_os_error(OSError(number, "full"), "writing 'out'")

    assert isinstance(err, errors.DiskFull)
    assert err.message == "No space left while writing 'out'."
    assert err.hint == "df -h"


def test_other_system_errors_keep_their_reason() -> None:
    err = from_os_error(PermissionError(errno.EACCES, "Permission denied"), "writing 'out'")

    assert type(err) is errors.EnvironmentFault
    assert err.message == "Failed while writing 'out': Permission denied."


OWN = ("VerdictFailed", "VerdictInconclusive", "Interrupted", "OutputClosed")


@pytest.mark.parametrize("name", [name for name in CODES if name not in OWN])
def test_an_error_that_went_through_json_is_the_same_again(name: str) -> None:
    more = {"code": "too-large"} if name == "Refused" else {}
    err = error_classes()[name]("'ü' is wrong", hint="try again", **more)

    again = from_record(**json.loads(json.dumps(to_record(err))))

    assert type(again) is type(err)
    assert (again.message, again.hint, again.code) == (err.message, err.hint, err.code)


@pytest.mark.parametrize(
    "name",
    [
        *OWN,
        "",
        "SomethingNewer",
        "Elsewhere",
        "nearest",
        "difflib",
        "ErrorRecord",
        "KeyboardInterrupt",
        "__class__",
        "errors.UserError",
        "usererror",
        "UserError ",
        "UserError\x00",
        "a" * 10_000,
    ],
    ids=lambda name: name[:20],
)
def test_a_name_that_another_process_may_not_report_gives_the_error_for_it(name: str) -> None:
    class Elsewhere(errors.UserError):
        """Not one of `core/errors.py`."""

    assert type(from_record(name, "no")) is EdgekitError

    err = from_record(name, "no", hint="try", code="too-large", otherwise=errors.DeviceError)

    assert type(err) is errors.DeviceError
    assert (err.message, err.hint, err.code) == ("no", "try", "")


def test_a_code_makes_no_refusal_of_another_error() -> None:
    err = from_record("DiskFull", "full", code="too-large")

    assert type(err) is errors.DiskFull
    assert err.code == ""


def test_an_error_of_another_module_is_recorded_by_its_own_name() -> None:
    class Elsewhere(errors.UserError):
        """Not one of `core/errors.py`."""

    assert to_record(Elsewhere("no")) == {"error": "Elsewhere", "message": "no", "hint": "", "code": ""}


def _unwound() -> None:
    try:
        raise KeyboardInterrupt
    finally:
        raise ValueError("while it unwinds")


def test_ctrl_c_is_found_behind_what_it_caused() -> None:
    with pytest.raises(ValueError, match="unwinds") as caught:
        _unwound()

    assert was_interrupted(caught.value)
    assert not was_interrupted(ValueError("alone"))


def test_errors_that_cause_each_other_are_followed_once() -> None:
    first, second = ValueError("first"), OSError("second")
    first.__cause__, second.__context__ = second, first

    assert not was_interrupted(first)
    assert not was_interrupted(second)
