"""Targets by group and by pattern."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.devices import inventory
from edgekit.flows.opening.devices import named_targets

INVENTORY = """
[pi4]
ssh = "pi@pi4"
[pi5]
ssh = "pi@pi5"
[phone]
adb = "1"
[groups]
lab = ["pi5", "phone", "local"]
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "devices.toml"
    path.write_text(INVENTORY)
    monkeypatch.setenv("EDGEKIT_DEVICES", str(path))
    return path


def names(text: str) -> list[str]:
    return [str(one) for one in named_targets(text)]


def test_a_pattern_names_the_devices_that_it_fits() -> None:
    assert names("pi*@threads=2,local") == ["pi4@threads=2", "pi5@threads=2", "local"]


def test_a_group_names_its_devices_each_once() -> None:
    assert names("lab/onnxruntime,pi5/onnxruntime") == ["pi5/onnxruntime", "phone/onnxruntime", "local/onnxruntime"]


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"Unknown device 'jetson\*'"):
        named_targets("jetson*")


def test_a_group_of_an_unknown_device_is_refused(file: Path) -> None:
    file.write_text(INVENTORY.replace('"phone",', '"phone7",'))
    with pytest.raises(UserError, match="device in group 'lab' 'phone7'"):
        named_targets("lab")


def test_groups_stay_when_a_device_is_removed() -> None:
    inventory.remove("phone")

    assert inventory.read_groups() == {"lab": ("pi5", "local")}
    assert names("lab") == ["pi5", "local"]
