"""An emulated Pi that one host offers, next to a device of another host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.devices.fleet.programs import SOCKETS, host, scheduler
from tests.standins.cache import required
from tests.standins.pi import PI5, running_pi

from edgekit.cli.main import run
from edgekit.core.errors import Unreadable
from edgekit.core.job import Job
from edgekit.core.samples import read_arrays
from edgekit.devices.fleet.fleet_device import FleetDevice
from edgekit.devices.inventory import Entry, write_inventory
from edgekit.devices.local import LocalDevice

pytestmark = [
    pytest.mark.slow,
    pytest.mark.device,
    pytest.mark.filterwarnings(f"ignore:{SOCKETS}:ResourceWarning"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fleet of two hosts, and the inventory of its user in `EDGEKIT_DEVICES`."""
    folder = tmp_path_factory.mktemp("pi")
    theirs, ours = folder / "theirs.toml", folder / "ours.toml"
    with required(), running_pi(PI5, prepared=True) as pi, scheduler() as served, pytest.MonkeyPatch.context() as patch:
        there = served.document["address"]
        entry = Entry(ssh=pi.host, ssh_config=str(pi.config), emulated=True, timeout_s=300.0)
        write_inventory({"board": entry}, theirs)
        write_inventory({name: Entry(fleet=there) for name in ("pi5", "lab")}, ours)
        patch.setenv("EDGEKIT_DEVICES", str(theirs))
        with host(there, "pi5=board"), host(there, "lab=fake"):
            patch.setenv("EDGEKIT_DEVICES", str(ours))
            yield there


def test_it_gives_the_outputs_of_this_machine(address: str, job: Job, tmp_path: Path) -> None:
    def outputs(device: FleetDevice | LocalDevice, path: Path) -> dict[str, Any]:
        with device:
            device.measure(msgspec.structs.replace(job, outputs=str(path)))
        return read_arrays(path, Unreadable)

    there = outputs(FleetDevice("pi5", address), tmp_path / "there.npz")
    here = outputs(LocalDevice(), tmp_path / "here.npz")

    assert set(there) == set(here) != set()
    for name, values in here.items():
        np.testing.assert_allclose(there[name], values, rtol=1e-5, atol=1e-6)


def test_its_times_are_no_latencies(address: str, job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert address
    assert (
        run(["profile", job.artifact, "--target", "pi5,lab", "--launches", "1", "--time-limit", "20ms", "--json"]) == 0
    )

    report = json.loads(capsys.readouterr().out)
    rows = {row["target"]: row for row in report["latency"]}
    assert (rows["pi5"]["quantiles"], rows["pi5"]["trust"]["grade"]) == ({}, "E")
    assert "emulated: not the latency of a device" in rows["pi5"]["trust"]["reasons"]
    assert set(rows["lab"]["quantiles"]) == {"p50"}
    assert report["facts"]["pi5"]["emulated"] is True
    assert report["facts"]["pi5"]["architecture"] == "aarch64"
