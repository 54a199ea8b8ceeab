"""The state of a device around a launch, as its shell reads it."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from tests.standins.cache import required
from tests.standins.jobs import job_of
from tests.standins.local_shell import LocalShell
from tests.standins.pi import PI5, Board, running_pi

from edgekit.core.errors import UserError
from edgekit.devices.remote.shell_device import Runners, ShellDevice
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER

RUNNERS = Runners(PYTHON_RUNNER, C_RUNNERS)


@pytest.mark.slow
@pytest.mark.device
def test_what_is_read_before_a_launch_is_read_around_it_too(tmp_path: Path) -> None:
    weak = Board(PI5.name, PI5.cpu, PI5.max_khz, throttled="0x50005", millidegrees=61000)
    with (
        required(),
        running_pi(weak, prepared=True) as pi,
        pi.shell() as shell,
        ShellDevice(shell, RUNNERS, timeout_s=300) as device,
    ):
        before = device.facts()
        result = device.measure(job_of("linear.onnx", tmp_path))

    moments = (before, result.before, result.after)
    assert [one.throttled for one in moments] == [True, True, True]
    for one in moments:
        assert (one.governor, one.sensors, one.clocks) == ("performance", {"cpu-thermal": 61.0}, before.clocks)
        assert (one.cpu, one.cores, one.missing) == (before.cpu, before.cores, {})


def test_throttling_during_a_launch_is_seen_on_any_runner(tmp_path: Path) -> None:
    """The firmware keeps what happened since boot: bits that are new after the launch."""
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    count = home / "asked"
    scripts = {
        "vcgencmd": f"echo >>{count}; echo throttled=0x$([ $(wc -l <{count}) -gt 2 ] && echo 50000 || echo 10000)",
        "python3": f'exec {sys.executable} "$@"',
    }
    for name, text in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)

    with ShellDevice(LocalShell(home, python=programs), RUNNERS) as device:
        facts = device.facts()
        result = device.measure(job_of("linear.onnx", tmp_path))

    assert [one.throttled for one in (facts, result.before, result.after)] == [False, False, True]
    assert result.after.cpu == facts.cpu
    assert result.after.sensors.keys() == facts.sensors.keys()
    assert result.after.clocks.keys() == facts.clocks.keys()


@pytest.mark.parametrize(("model", "option"), [("linear.tflite", "graph"), ("linear.onnx", "state")])
def test_an_option_that_the_backend_of_a_file_lacks_is_refused_before_a_launch(
    tmp_path: Path, here: LocalShell, model: str, option: str
) -> None:
    """A target without a backend: `pi@graph=all` suits the .onnx files of a bundle alone."""
    job = msgspec.structs.replace(job_of(model, tmp_path), options={option: "all"})

    with ShellDevice(here, RUNNERS) as device, pytest.raises(UserError, match=f"'{option}'. Known: .*threads"):
        device.measure(job)

    assert not (here.folder / "blobs").exists()


def test_a_launch_is_one_command_and_sends_files_only_where_one_is_missing(tmp_path: Path, here: LocalShell) -> None:
    """Each command costs a device as much as many inferences, and delays the next launch."""
    job = job_of("linear.onnx", tmp_path)
    with ShellDevice(here, RUNNERS) as device:
        device.facts()
        assert device.inability(job) == ""
        assert len(here.commands) == 1
        device.measure(job)
        sent = set((here.folder / "blobs").iterdir())
        before = len(here.commands)
        device.measure(job)
        device.measure(job)
        assert len(here.commands) - before == 2

        (here.folder / "blobs" / job.sha256).unlink()
        assert device.measure(job).values

    assert set((here.folder / "blobs").iterdir()) == sent
    assert not list((here.folder / "run").iterdir())
