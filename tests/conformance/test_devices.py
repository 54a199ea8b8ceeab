"""What every registered device promises, for a job of the linear model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.core.errors import EdgekitError, ModelUnreadable, ProviderRefused, UserError
from edgekit.core.job import Job
from edgekit.core.samples import read_arrays, write_arrays
from edgekit.core.system.files import sha256_file
from edgekit.devices.device import DEVICES, Device

DATA = Path(__file__).parents[1] / "runtime" / "data"
NAMES = ("local", "fake")
X = np.array([[1.0, 2.0, 4.0]], dtype=np.float32)
Y = np.array([[-0.5, -4.25]], dtype=np.float32)


@pytest.fixture(params=NAMES)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """An open device."""
    with DEVICES.get(request.param)() as opened:
        assert opened.name == request.param
        yield opened


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A short job with one feed whose outputs are asked for."""
    write_arrays(tmp_path / "feeds.npz", {"0:x": X})
    return Job(
        artifact=str(DATA / "linear.onnx"),
        sha256=sha256_file(DATA / "linear.onnx"),
        format="onnx",
        feeds=str(tmp_path / "feeds.npz"),
        outputs=str(tmp_path / "outputs.npz"),
        time_limit_s=0.02,
        min_values=7,
        max_values=9,
    )


def test_the_registered_devices_without_hardware_are_tested_here() -> None:
    assert set(NAMES) <= set(DEVICES.table)


def test_facts_name_what_recipes_are_resolved_with(device: Device) -> None:
    facts = device.facts()

    assert facts.architecture
    assert facts.features[0] == facts.architecture
    assert facts.emulated == device.emulated
    nulls = {name for name in facts.__struct_fields__ if getattr(facts, name) is None}
    assert nulls == set(facts.missing)


def test_a_job_is_measured_and_its_outputs_come_back(device: Device, job: Job) -> None:
    result = device.measure(job)

    assert 7 <= len(result.values) <= 9
    assert min(*result.values, *result.warmups, result.load_s, result.first_run_s) > 0
    assert result.engine
    assert result.provider
    np.testing.assert_array_equal(read_arrays(Path(job.outputs), UserError)["0:y"], Y)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"sha256": "0" * 64}, ModelUnreadable),
        ({"options": {"provider": "cuda"}}, ProviderRefused),
        ({"options": {"threads": "0"}}, UserError),
        ({"feeds": "nowhere.npz"}, UserError),
    ],
)
def test_what_the_launch_reports_is_raised_as_the_same_class(
    device: Device, job: Job, change: dict[str, Any], error: type[EdgekitError]
) -> None:
    with pytest.raises(error) as caught:
        device.measure(msgspec.structs.replace(job, **change))

    assert type(caught.value) is error
    assert caught.value.message


def test_a_failed_job_leaves_the_device_usable(device: Device, job: Job) -> None:
    with pytest.raises(ModelUnreadable):
        device.measure(msgspec.structs.replace(job, sha256="0" * 64))

    assert device.measure(job).values


def test_closing_twice_is_harmless(device: Device) -> None:
    device.close()
    device.close()
