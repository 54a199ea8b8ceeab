"""The inventory file: what is written is read, and what is wrong is said at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.devices.inventory import Entry, add, inventory_file, read_inventory, remove, write_inventory

ENTRIES = {
    "pi5": Entry(ssh="pi@raspberrypi.local", timeout_s=60.0),
    "lab.pi": Entry(ssh="lab", port=2222, ssh_config='/home/me/my "own" config', emulated=True),
    "phone": Entry(adb="39121FDJH00123"),
    "browser": Entry(web="127.0.0.1", port=8080),
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"

    write_inventory(ENTRIES, file)

    assert read_inventory(file) == ENTRIES


def test_devices_that_are_added_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    names = [f"pi{number}" for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: add(name, Entry(ssh=name), path=file), names))

    assert sorted(read_inventory(file)) == names
    assert list(tmp_path.iterdir()) == [file]


def test_no_file_is_an_empty_inventory(tmp_path: Path) -> None:
    assert read_inventory(tmp_path / "devices.toml") == {}


def test_the_file_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "mine.toml"))

    assert inventory_file() == tmp_path / "mine.toml"


def test_all_problems_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(
        '[a]\nssh = "x"\nadb = "y"\n[b]\n[local]\nssh = "x"\n[c]\nssh = "x"\nport = 0\n'
        '[d]\nssh = "x"\ntimeout_s = 0.5\n[e]\nshh = "x"\n'
    )

    with pytest.raises(UserError) as caught:
        read_inventory(file)

    text = str(caught.value)
    assert "a: expected one of ssh, adb, web, fleet, got ssh, adb." in text
    assert "b: expected one of ssh, adb, web, fleet, got none." in text
    assert "local: 'local' is the name of a built-in device." in text
    assert "c: port: expected 1 to 65535, got 0." in text
    assert "d: timeout_s: expected 1 to 86400, got 0.5." in text
    assert "e: Object contains unknown field `shh`" in text


@pytest.mark.parametrize("text", ["[a\n", "schema_version = 2\n", 'schema_version = "1"\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(text)

    with pytest.raises(UserError, match=r"devices\.toml"):
        read_inventory(file)


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "-a", "a b", "local"])
def test_a_name_that_no_target_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="name"):
        add(name, Entry(ssh="pi"), path=tmp_path / "devices.toml")

    assert not (tmp_path / "devices.toml").exists()


def test_a_taken_name_is_replaced_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    add("pi5", Entry(ssh="old"), path=file)

    with pytest.raises(UserError, match="already"):
        add("pi5", Entry(ssh="new"), path=file)
    assert read_inventory(file)["pi5"].ssh == "old"

    add("pi5", Entry(ssh="new"), force=True, path=file)
    assert read_inventory(file)["pi5"].ssh == "new"


def test_removing_an_unknown_device_offers_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    write_inventory(ENTRIES, file)

    with pytest.raises(UserError, match="Did you mean 'pi5'"):
        remove("pi4", file)

    remove("pi5", file)
    assert list(read_inventory(file)) == ["lab.pi", "phone", "browser"]
