"""The state of a device around a launch, as its shell reads it."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.hostile.models import doubles
from tests.standins.cache import cache_folder, required
from tests.standins.jobs import job_of
from tests.standins.local_shell import LocalShell
from tests.standins.pi import PI5, Board, running_pi

from edgekit.core.errors import ModelUnreadable, UserError
from edgekit.core.samples import write_arrays
from edgekit.core.system.files import sha256_file
from edgekit.devices.remote.onnxruntime_library import prepare_native
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process so")
@pytest.mark.parametrize("is_native", [False, True], ids=["python", "c"])
def test_a_model_takes_no_more_memory_on_a_device_than_its_limit(
    is_native: bool, tmp_path: Path, here: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_MEMORY_GB", "1")
    job = job_of("linear.onnx", tmp_path)
    model = doubles(tmp_path / "net.onnx")
    write_arrays(tmp_path / "four.npz", {"0:x": np.ones((1, 4), np.float32)})
    hungry = msgspec.structs.replace(
        job, artifact=str(model), sha256=sha256_file(model), feeds=str(tmp_path / "four.npz"), outputs=""
    )
    if is_native:
        prepare_native(here, C_RUNNERS, cache_folder() / "wheels", has_glibc=True)

    with ShellDevice(LocalShell(here.home, python=tmp_path if is_native else None), RUNNERS) as device:
        with pytest.raises(ModelUnreadable, match=r"needs more memory on 'here' than its limit of 1 GB") as caught:
            device.measure(hungry)
        assert caught.value.hint.startswith("export EDGEKIT_MEMORY_GB=2 ")
        assert device.measure(job).values
