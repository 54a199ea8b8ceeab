"""Promises of core/errors.py."""

from __future__ import annotations

import errno

import pytest

from edgekit.core import errors
from edgekit.core.errors import EdgekitError, from_os_error, nearest, unknown

CODES = {
    "EdgekitError": 70,
    "VerdictFailed": 1,
    "UserError": 2,
    "Refused": 2,
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
    err = errors.UserError("No target was given.", hint="--target local")

    assert (str(err), err.message, err.hint) == ("No target was given.", "No target was given.", "--target local")


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
