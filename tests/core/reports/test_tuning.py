"""The file that keeps what was tuned: where it lies, what replaces what, and which choice fits."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgekit.core.bundle import tuning_file
from edgekit.core.errors import Unreadable
from edgekit.core.facts import Facts
from edgekit.core.reports.report import Estimate
from edgekit.core.reports.tuning import Choice, device_kind, fitting, merged, read_tuning

CHOICE = Choice(
    device="pi5",
    engine="onnxruntime 1.31.1",
    artifact="onnx-fp32",
    sha256="ab",
    backend="onnxruntime",
    options={},
    latency=Estimate(0.001),
    created="2026-01-01T00:00:00+00:00",
)


@pytest.mark.parametrize("name", ["net", "net.edgekit"])
def test_the_file_lies_beside_the_bundle_under_its_name(name: str, tmp_path: Path) -> None:
    assert tuning_file(tmp_path / name) == tmp_path / "net.tuning.json"


def test_tuning_again_replaces_the_choices_of_that_kind_of_device_only() -> None:
    first = merged(None, "net", [CHOICE, msgspec.structs.replace(CHOICE, device="laptop")])

    second = merged(first, "net", [msgspec.structs.replace(CHOICE, artifact="onnx-int8")])

    assert [(one.device, one.artifact) for one in second.choices] == [("laptop", "onnx-fp32"), ("pi5", "onnx-int8")]


def test_the_chosen_one_comes_first_and_other_files_and_devices_not_at_all() -> None:
    chosen = msgspec.structs.replace(CHOICE, sha256="cd", is_chosen=True)
    other = msgspec.structs.replace(CHOICE, sha256="ef")
    elsewhere = msgspec.structs.replace(CHOICE, device="laptop")
    tuning = merged(None, "net", [elsewhere, CHOICE, other, chosen])

    assert fitting(tuning, "pi5", ["ab", "cd"]) == (chosen, CHOICE)


def test_a_kind_of_device_is_its_processor_and_not_its_state() -> None:
    cool, hot = (Facts(cpu="Cortex-A76", architecture="aarch64", cores=4, temperature_c=heat) for heat in (40, 80))

    assert device_kind(cool) == device_kind(hot) != device_kind(msgspec.structs.replace(cool, cores=2))


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.tuning.json").write_text('{"schema_version": 1, "choices": 3}')

    with pytest.raises(Unreadable, match=r"net\.tuning\.json"):
        read_tuning(tmp_path / "net.tuning.json")
