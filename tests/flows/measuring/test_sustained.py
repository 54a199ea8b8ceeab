"""Sustained load on a device that slows down, on one that has no latency, and from end to end."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from tests.flows.scripted import Scripted, fake_model

from edgekit.core.errors import UserError
from edgekit.core.reports.sustained import Sustained
from edgekit.core.system.progress import Silent
from edgekit.core.target import Target
from edgekit.flows.measuring.cells import Cell, job_for
from edgekit.flows.measuring.sustained import sustain
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.profile import profile, profile_order


def sustained(folder: Path, device: Scripted, seconds: float, launch_s: float) -> list[Sustained]:
    ticks = itertools.count()
    target = Target("scripted")
    with opened(fake_model(folder / "a.fake.json")) as found:
        job = job_for(found, found.artifacts[0], target, folder, "outputs.npz", 0.5)
        cell = Cell(found, found.artifacts[0], target, job)
        return sustain([cell], {"scripted": device}, seconds, Silent(), {}, clock=lambda: launch_s * next(ticks))


def test_a_device_that_slows_down_is_seen(tmp_path: Path) -> None:
    device = Scripted(lambda number, job: 1e-3 * (1 + 0.02 * number))

    (found,) = sustained(tmp_path, device, 60.0, launch_s=3.0)

    assert [point.elapsed_s for point in found.points] == [3.0 * place for place in range(1, 21)]
    assert (found.low or 0.0) > 0.2
    assert all(job.outputs == "" for job in device.jobs)


def test_few_launches_give_points_and_no_verdict(tmp_path: Path) -> None:
    (found,) = sustained(tmp_path, Scripted(lambda number, job: 1e-3), 6.0, launch_s=2.0)

    assert (len(found.points), found.change, found.reason) == (
        3,
        None,
        "only 3 launches fit into the time, 12 are needed",
    )


def test_what_cannot_be_is_refused_before_anything_is_launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Scripted(lambda number, job: 1e-3, emulated=True)
    monkeypatch.setattr(devices, "open_device", lambda name: device)
    model = fake_model(tmp_path / "a.fake.json")

    with pytest.raises(UserError, match="at least 5 s"), profile_order(model, target="scripted", sustain_s=1.0):
        pass
    with pytest.raises(UserError, match="'scripted' is emulated"):
        profile(model, target="scripted", sustain_s=60.0)

    assert device.jobs == []
