"""Devices of other hosts, through a real scheduler of Dask and hosts as processes of their own."""

from __future__ import annotations

import importlib
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
from tests.devices.fleet.programs import SOCKETS, Program, host, scheduler

from edgekit.core.errors import DeviceError, DeviceUnavailable, EdgekitError, Unreadable, UserError
from edgekit.core.job import Job
from edgekit.core.samples import write_arrays
from edgekit.core.system.documents import encode
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Silent
from edgekit.core.system.settings import Settings
from edgekit.devices.fake import FACTS, FakeDevice
from edgekit.devices.fleet import fleet_device
from edgekit.devices.fleet.fleet_device import FleetDevice
from edgekit.devices.fleet.host import Host
from edgekit.devices.fleet.host_protocol import Ask, Failed, decode_reply
from edgekit.devices.fleet.keys import address_of, security_of, write_keys
from edgekit.devices.inventory import Entry, read_inventory
from edgekit.devices.local import LocalDevice
from edgekit.flows.devices import add_order
from edgekit.flows.fleet.hosts import join_fleet

# They are freed when the scheduler ends, or by chance before that.
pytestmark = pytest.mark.filterwarnings(f"ignore:{SOCKETS}:ResourceWarning")


def test_a_device_of_another_host_is_that_device(fleet: str, keys: Path, job: Job) -> None:
    with FleetDevice("lab", fleet, keys) as device, FakeDevice() as here:
        assert (device.facts(), device.emulated, device.inability(job)) == (FACTS, False, "")
        assert [device.measure(job).values for _ in range(2)] == [here.measure(job).values for _ in range(2)]


def test_files_travel_once_and_outputs_come_back(
    fleet: str, keys: Path, job: Job, sent: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_device, "_PART", 100)
    fresh = tmp_path / "other.npz"
    write_arrays(fresh, {"0:x": np.full((1, 8), 2.0, np.float32)})
    asked = msgspec.structs.replace(job, feeds=str(fresh), outputs=str(tmp_path / "there.npz"))

    with FleetDevice("desk", fleet, keys) as device:
        results = [device.measure(asked) for _ in range(2)]

    with LocalDevice() as local:
        local.measure(msgspec.structs.replace(asked, outputs=str(tmp_path / "here.npz")))
    there, here = (np.load(tmp_path / name) for name in ("there.npz", "here.npz"))
    assert {name: there[name].tolist() for name in there} == {name: here[name].tolist() for name in here}
    assert all(one.engine.startswith("onnxruntime ") for one in results)
    assert sent.count(sha256_file(fresh)) == -(-fresh.stat().st_size // 100)


def test_feeds_that_were_written_again_are_sent_again(fleet: str, keys: Path, job: Job, tmp_path: Path) -> None:
    feeds, outputs = tmp_path / "feeds.npz", tmp_path / "outputs.npz"
    asked = msgspec.structs.replace(job, feeds=str(feeds), outputs=str(outputs))
    found = []

    with FleetDevice("desk", fleet, keys) as device:
        for value in (1.0, 2.0):
            write_arrays(feeds, {"0:x": np.full((1, 8), value, np.float32)})
            device.measure(asked)
            with np.load(outputs) as written:
                found.append(written["0:y"])

    assert not np.array_equal(*found)


def test_an_error_of_a_launch_is_the_error_here(fleet: str, keys: Path, job: Job, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    wrong = msgspec.structs.replace(job, artifact=str(broken), sha256=sha256_file(broken))

    with FleetDevice("desk", fleet, keys) as device, LocalDevice() as local:
        with pytest.raises(EdgekitError) as there:
            device.measure(wrong)
        with pytest.raises(EdgekitError) as here:
            local.measure(wrong)

    assert type(there.value) is type(here.value)


def test_a_device_that_no_host_offers_is_not_awaited(fleet: str, keys: Path, job: Job) -> None:
    with (
        FleetDevice("other", fleet, keys) as device,
        pytest.raises(DeviceUnavailable, match="no such device") as caught,
    ):
        device.measure(job)

    assert caught.value.hint == f"edgekit fleet list {fleet} --keys {keys}"


def test_other_keys_open_nothing(fleet: str, job: Job, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    write_keys(other)

    with (
        FleetDevice("lab", fleet, other, patience_s=0.0) as device,
        pytest.raises(DeviceUnavailable, match="refuses these keys"),
    ):
        device.measure(job)


def test_a_stranger_without_keys_is_refused(keys: Path) -> None:
    distributed: Any = importlib.import_module("distributed")

    with scheduler(keys) as served, pytest.raises(OSError, match=r"(?i)connect"):
        distributed.Client(served.document["address"].replace("tls://", "tcp://"), timeout=3, set_as_default=False)


def test_without_keys_nothing_listens_for_others() -> None:
    with scheduler() as served, host(served.document["address"], "lab=fake") as joined:
        listening = {
            connection.laddr.ip
            for program in (served, joined)
            for one in (
                psutil.Process(program.process.pid),
                *psutil.Process(program.process.pid).children(recursive=True),
            )
            for connection in one.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }

    assert listening == {"127.0.0.1"}


def test_a_port_in_use_is_said(keys: Path) -> None:
    with scheduler() as served:
        port = served.document["address"].rpartition(":")[2]
        command = [sys.executable, "-m", "edgekit", "fleet", "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, "cannot be used" in done.stderr) == (3, True)


def test_hosts_with_different_devices_by_one_name_are_refused(keys: Path, job: Job) -> None:
    with scheduler(keys) as served:
        address = served.document["address"]
        with (
            host(address, "lab=fake", keys),
            host(address, "lab=local", keys),
            FleetDevice("lab", address, keys) as device,
            pytest.raises(DeviceUnavailable, match="2 hosts offer devices of different kinds as 'lab'"),
        ):
            device.measure(job)


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], "No device is named"), (["=local"], "is not the name of a device"), (["a=local", "a=fake"], "offered twice")],
)
def test_a_host_offers_devices_with_names(names: list[str], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        join_fleet("127.0.0.1:9", names, None, Settings(), lambda _: None)


def test_a_device_is_added_with_what_its_fleet_needs(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
    monkeypatch.chdir(keys.parent)
    with add_order("lab", Entry(fleet="lab.example", keys=keys.name)) as order:
        order.run(Silent())

    assert read_inventory()["lab"] == Entry(fleet="tls://lab.example:8786", keys=str(keys))
    with pytest.raises(UserError, match="Without keys"), add_order("other", Entry(fleet="lab.example")):
        pass
    with pytest.raises(UserError, match="There are no keys"), add_order("o", Entry(fleet="lab.example", keys="no.pem")):
        pass


def test_launches_go_on_at_another_host_of_the_same_kind(keys: Path, job: Job) -> None:
    with scheduler(keys) as served:
        address = served.document["address"]
        with (
            host(address, "lab=fake", keys) as first,
            host(address, "lab=fake", keys) as second,
            FleetDevice("lab", address, keys, patience_s=1.0) as device,
        ):
            device.measure(job)
            for program in sorted((first, second), key=lambda one: str(one.document["host"])):
                program.kill()
                if program.document["host"] == min(str(one.document["host"]) for one in (first, second)):
                    assert device.measure(job).values
            with pytest.raises(DeviceUnavailable, match="no such device any more"):
                device.measure(job)


def test_a_scheduler_and_a_host_that_come_back_are_found_again(keys: Path, job: Job) -> None:
    with scheduler(keys) as served:
        address = served.document["address"]
        with host(address, "lab=fake", keys), FleetDevice("lab", address, keys) as device:
            before = device.measure(job)
            served.kill()
            with scheduler(keys, int(address.rpartition(":")[2])):
                after = device.measure(job)

    assert before.engine == after.engine == "fake 1"


@pytest.mark.parametrize("which", ["serve", "join"])
def test_ctrl_c_ends_a_program_at_once(which: str) -> None:
    with scheduler() as served, host(served.document["address"], "lab=fake") as joined:
        program: Program = served if which == "serve" else joined

        assert program.end() == 130


def test_without_keys_only_this_machine_is_reached(tmp_path: Path) -> None:
    pem = tmp_path / "fleet.pem"

    assert address_of("127.0.0.1:9000", None) == "tcp://127.0.0.1:9000"
    assert address_of("[::1]", None) == "tcp://[::1]:8786"
    assert address_of("lab.example", pem) == "tls://lab.example:8786"
    with pytest.raises(UserError, match="Without keys everybody"):
        address_of("lab.example", None)
    with pytest.raises(UserError, match="needs the keys"):
        address_of("tls://127.0.0.1:1", None)
    with pytest.raises(UserError, match="is not encrypted"):
        address_of("tcp://lab.example", pem)


@pytest.mark.parametrize("text", ["", "http://lab", "tls://", "tls://lab:x", "tls://user@lab", "tls://lab/path"])
def test_what_is_no_address_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the address"):
        address_of(text, tmp_path / "fleet.pem")


def test_keys_are_for_one_user_and_are_not_replaced(keys: Path, tmp_path: Path) -> None:
    assert keys.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UserError, match="already exists"):
        write_keys(keys)
    with pytest.raises(UserError, match="There are no keys"):
        security_of(tmp_path / "none.pem")
    (tmp_path / "empty.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(Unreadable, match="no certificate with its key"):
        security_of(tmp_path / "empty.pem")


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (b"{", "not one of edgekit"),
        (encode(Ask(device="lab", edgekit="0.0.1")), "comes from edgekit 0.0.1"),
        (encode(Ask(device="other")), "no device 'other'"),
    ],
)
def test_a_host_replies_to_what_it_cannot_do(ask: bytes, expected: str, tmp_path: Path) -> None:
    found = decode_reply(Host({}, nullcontext, tmp_path).reply(ask)[0], "lab")

    assert isinstance(found, Failed)
    assert expected in found.failure.message


def test_a_file_that_is_another_one_is_not_kept(tmp_path: Path) -> None:
    there = Host({}, nullcontext, tmp_path)

    with pytest.raises(Unreadable, match="arrived damaged"):
        there.receive("0" * 64, "1" * 32, 0, b"other", is_last=True)
    for digest, sender in (("../escape", "1" * 32), ("0" * 64, "../escape")):
        with pytest.raises(Unreadable, match="not a SHA-256"):
            there.receive(digest, sender, 0, b"other", is_last=True)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{}", b'{"type": "launched"}', 7, None])
def test_a_reply_that_is_none_is_an_error_of_the_device(content: object) -> None:
    with pytest.raises(DeviceError, match="no valid reply"):
        decode_reply(content, "lab")
