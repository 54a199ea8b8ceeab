"""The fake device invents the same numbers for the same seed."""

from __future__ import annotations

from statistics import median

import pytest

from edgekit.core.job import Job
from edgekit.devices.fake import FakeDevice

JOB = Job(artifact="net.onnx", sha256="a" * 64, format="onnx", feeds="feeds.npz", min_values=40)


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, second = FakeDevice(seed=3), FakeDevice(seed=3)

    assert [first.measure(JOB) for _ in range(3)] == [second.measure(JOB) for _ in range(3)]


def test_launches_seeds_and_artifacts_differ() -> None:
    device = FakeDevice()
    other = Job(artifact="net.onnx", sha256="b" * 64, format="onnx", feeds="feeds.npz", min_values=40)

    results = [device.measure(JOB), device.measure(JOB), FakeDevice(seed=1).measure(JOB), FakeDevice().measure(other)]

    assert len({result.values for result in results}) == 4


def test_the_numbers_lie_around_the_latency_asked_for() -> None:
    result = FakeDevice(median_s=0.02).measure(JOB)

    assert len(result.values) == 40
    assert median(result.values) == pytest.approx(0.02, rel=0.03)
    assert result.warmups[0] > result.warmups[-1] > median(result.values)
