"""Many devices of a fleet at once, and a scheduler that is late."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import pytest
from distributed import Future
from tests.devices.fleet.programs import SOCKETS, host, scheduler

from edgekit.core.job import Job
from edgekit.core.system.files import sha256_file
from edgekit.devices.fake import FACTS, FakeDevice
from edgekit.devices.fleet import connection
from edgekit.devices.fleet.connection import Lost
from edgekit.devices.fleet.fleet_device import FleetDevice
from edgekit.devices.fleet.host import Host

# They are freed when the scheduler ends, or by chance before that.
pytestmark = pytest.mark.filterwarnings(f"ignore:{SOCKETS}:ResourceWarning")


def test_a_scheduler_that_is_late_loses_no_launch(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    # A question that came back too late closed the client of all devices, and their launches were lost.
    with scheduler() as served, host(served.document["address"], "lab=fake") as joined:
        with FleetDevice("lab", served.document["address"]) as device, ThreadPoolExecutor() as pool:
            device.facts()
            client = device._connection._connected(0.0)
            monkeypatch.setattr(connection, "_CONNECT_S", 0.2)
            here = psutil.Process(served.process.pid)
            programs = [here, *here.children(recursive=True)]
            for one in programs:
                one.suspend()
            try:
                launched = pool.submit(device.measure, job)
                with pytest.raises(TimeoutError):
                    launched.result(timeout=1.5)
            finally:
                for one in programs:
                    one.resume()

            assert launched.result(timeout=30).values
            assert device._connection._connected(0.0) is client
        assert joined.process.poll() is None


def test_a_result_that_is_fetched_late_is_fetched_again(
    fleet: str, keys: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It counted as a lost host, and the launch was repeated.
    result, fetched = Future.result, []

    def late(self: Any, timeout: float | None = None) -> object:
        fetched.append(timeout)
        if len(fetched) == 1:
            raise TimeoutError
        return result(self, timeout)

    with FleetDevice("lab", fleet, keys) as device, FakeDevice() as here:
        there = [device.measure(job).values]
        monkeypatch.setattr(Future, "result", late)
        there.append(device.measure(job).values)

        assert len(fetched) == 2
        assert there == [here.measure(job).values for _ in there]


def test_a_device_that_is_lost_before_its_first_reply_is_awaited(
    fleet: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FleetDevice("lab", fleet, keys) as device:
        lasting, call, hosts = device._connection, device._connection.call, device._connection.hosts
        lost: list[int] = []

        def losing(*arguments: Any, **more: Any) -> object:
            if not lost:
                lost.append(3)
                raise Lost("The host of 'lab' was lost.")
            return call(*arguments, **more)

        def absent(name: str) -> tuple[str, ...]:
            if lost and lost[0]:
                lost[0] -= 1
                return ()
            return hosts(name)

        monkeypatch.setattr(lasting, "call", losing)
        monkeypatch.setattr(lasting, "hosts", absent)

        assert device.facts() == FACTS
        assert lost == [0]


def test_a_crowd_that_begins_at_once_loses_nothing(job: Job, sent: list[str], caplog: pytest.LogCaptureFixture) -> None:
    names = [f"d{number}" for number in range(60)]

    def launched(device: FleetDevice) -> int:
        with device:
            return sum(len(device.measure(job).values) == job.min_values for _ in range(5))

    with scheduler() as served:
        address = served.document["address"]
        with host(address, ",".join(f"{name}=fake" for name in names)) as joined, ThreadPoolExecutor(60) as threads:
            counts = list(threads.map(launched, [FleetDevice(name, address) for name in names]))
            assert joined.process.poll() is None

    assert counts == [5] * 60
    assert sorted(sent) == sorted([job.sha256, sha256_file(Path(job.feeds))])
    assert "lost" not in caplog.text


def test_two_users_may_send_one_file_at_once(tmp_path: Path) -> None:
    there, content = Host({}, nullcontext, tmp_path), b"weights" * 3
    digest = hashlib.sha256(content).hexdigest()

    for sender in ("1" * 32, "2" * 32):
        there.receive(digest, sender, 0, content[:7], is_last=False)
    for sender in ("1" * 32, "2" * 32):
        there.receive(digest, sender, 7, content[7:], is_last=True)

    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [(digest, content)]


def test_devices_that_wait_together_ask_one_question(fleet: str, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each of a thousand devices asked for itself; the scheduler had no time for anything else.
    asked: list[float] = []
    with FleetDevice("lab", fleet, keys) as device, ThreadPoolExecutor(30) as pool:
        connection, first = device._connection, device._connection.offers()

        def offers() -> dict[str, tuple[str, ...]]:
            asked.append(monotonic())
            sleep(0.1)
            return first

        monkeypatch.setattr(connection, "offers", offers)
        start = monotonic()

        def wait(_: int) -> int:
            found = len(connection.hosts("lab"))
            while monotonic() - start < 1.5:
                found = min(found, len(connection.hosts("lab")))
                sleep(0.02)
            return found

        assert set(pool.map(wait, range(30))) == {1}
        whole = monotonic() - start

    assert 1 <= len(asked) <= 1 + whole / 0.25
