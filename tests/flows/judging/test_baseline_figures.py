"""A model against its baseline: size, memory, instructions and accuracy, with both figures and their difference."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.cli.conftest import write_bundle
from tests.flows.planting import damaged, onnx_weight
from tests.flows.scripted import Scripted, fake_model
from tests.flows.test_check import Use, check, config, only, times

from edgekit.core.job import Job, JobResult
from edgekit.core.reports.check import CheckReport
from edgekit.core.samples import Samples
from edgekit.core.verdict import Verdict
from edgekit.flows.opening import devices

BASELINE = 'baseline = "a.fake.json"'


class Remembering(Scripted):
    """A device whose launches of model b need `factor` times the memory of those of a, 100 MB."""

    factor = 1.0

    def measure(self, job: Job) -> JobResult:
        found = super().measure(job)
        factor = self.factor if Path(job.artifact).name.startswith("b") else 1.0
        return msgspec.structs.replace(found, peak_memory_bytes=int(factor * 1e8) + 1000 * (len(self.jobs) % 5))


class Counting(Scripted):
    """An emulated device that counts 1,000,000 instructions for model a, and more for b."""

    more = 0

    def count(self, job: Job) -> tuple[int, ...]:
        return (1_000_000 + (self.more if Path(job.artifact).name.startswith("b") else 0),) * 3


def metrics(report: CheckReport) -> dict[str, Verdict]:
    return {one.metric: one.verdict for one in report.results if one.kind == "baseline"}


def test_a_slower_model_is_told_in_milliseconds_with_device_and_interval(folder: Path, use: Use) -> None:
    use(times(b=1.1e-3))

    found = only(check(config(folder, model=BASELINE)), "baseline", "latency")

    assert "1.00 ms before, 1.11 ms now on fake (+0.102 ms [+0.102 ms, +0.103 ms])" in found.message
    assert found.change is not None
    assert found.change.unit == "s"
    assert found.change.difference.value == pytest.approx(1e-4, rel=0.05)
    assert found.change.difference.low == pytest.approx(1e-4, rel=0.05)


@pytest.mark.parametrize(
    ("tolerance", "verdict"), [(0, Verdict.FAIL), (0.5, Verdict.PASS)], ids=["exact", "within the tolerance"]
)
def test_a_file_of_more_bytes_fails_unless_a_tolerance_allows_it(
    folder: Path, use: Use, tolerance: float, verdict: Verdict
) -> None:
    use(times())
    fake_model(folder / "b.fake.json", offset=1234)

    found = only(check(config(folder, f"size_tolerance = {tolerance}", BASELINE)), "baseline", "size")

    assert found.verdict is verdict
    assert "now on fake (+3 B)" in found.message


def test_more_memory_fails_after_a_second_measurement(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Remembering(times(), values=40)
    device.factor = 1.2
    monkeypatch.setattr(devices, "open_device", lambda name: device)

    found = check(config(folder, model=BASELINE))

    assert metrics(found) == {"latency": Verdict.PASS, "memory": Verdict.FAIL, "size": Verdict.PASS}
    memory = only(found, "baseline", "memory")
    assert memory.message.startswith("+20.0 %, 100 MB before, 120 MB now on fake (+20.0 MB")
    assert ", confirmed by +20.0 %" in memory.message
    assert len(device.jobs) == 5 + 10 + 10


def test_the_same_memory_passes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "open_device", lambda name: Remembering(times(), values=40))

    assert metrics(check(config(folder, model=BASELINE)))["memory"] is Verdict.PASS


@pytest.mark.parametrize(("more", "verdict"), [(0, Verdict.PASS), (500, Verdict.PASS), (5000, Verdict.FAIL)])
def test_instructions_are_compared_where_a_device_counts_them_and_its_times_are_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: int, verdict: Verdict
) -> None:
    device = Counting(times(b=5e-3), emulated=True)
    device.more = more
    monkeypatch.setattr(devices, "open_device", lambda name: device)

    found = check(config(folder, model=BASELINE))

    assert metrics(found) == {"instructions": verdict, "size": Verdict.PASS}
    counted = only(found, "baseline", "instructions").message
    assert f"1,000,000 before, {1_000_000 + more:,} now on fake (+{more:,})" in counted


def test_a_metric_that_is_asked_for_and_cannot_be_measured_is_said_and_not_judged(folder: Path, use: Use) -> None:
    use(times())
    asked = 'baseline_metrics = ["size", "instructions", "memory", "accuracy"]'

    found = check(config(folder, asked, BASELINE))

    assert metrics(found) == {"size": Verdict.PASS}
    assert found.warnings == (
        "Not compared with the baseline: instructions of b/b.fake on fake, because 'fake' counts none.",
        "Not compared with the baseline: memory of b/b.fake on fake, because its launches do not report it.",
        "Not compared with the baseline: accuracy of b/b.fake on fake, because the samples have no labels.",
    )


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A configuration with a bundle that classifies 400 images well, and the same as its baseline."""
    images = np.random.default_rng(0).normal(size=(400, 1, 8, 8)).astype(np.float32)
    weights = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    labels = (images.reshape(-1, 64) @ weights).argmax(1)
    write_bundle(tmp_path / "old", Samples({"x": images}, labels))
    write_bundle(tmp_path / "new", Samples({"x": images}, labels))
    path = tmp_path / "edgekit.toml"
    path.write_text(
        '[check]\ntarget = ["fake"]\nlaunches = 5\nbaseline_metrics = ["accuracy"]\n'
        '[[check.models]]\nname = "net"\npath = "new"\nbaseline = "old"\n'
    )
    return path


@pytest.mark.slow
def test_the_same_predictions_pass_whatever_their_number(trained: Path) -> None:
    found = only(check(trained), "baseline", "accuracy")

    assert found.verdict is Verdict.PASS
    assert found.message == (
        "accuracy 100.00 % before, 100.00 % now on fake (+0.00 pt), 400 samples, all predicted as before"
    )


@pytest.mark.slow
def test_a_less_accurate_model_fails_with_points_and_interval(trained: Path) -> None:
    folder = trained.parent
    blur = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
    (folder / "new").rename(folder / "good")
    damaged(folder / "good", folder / "new", "onnx-fp32", onnx_weight("weights", lambda old: old + blur))
    trained.write_text(trained.read_text().replace('"accuracy"]', '"accuracy"]\nbudgets = ["accuracy >= 0 %"]'))
    as_trained_now(folder / "new")

    found = only(check(trained), "baseline", "accuracy")

    assert found.verdict is Verdict.FAIL
    assert found.change is not None
    assert found.change.difference.high is not None
    assert found.change.difference.high < -0.01
    assert "accuracy 100.00 % before, " in found.message
    assert " pt]), 400 samples" in found.message


def as_trained_now(folder: Path) -> None:
    """Write the outputs of the file as those of PyTorch: the network itself has other weights."""
    import onnxruntime

    from edgekit.core.bundle import SAMPLES, Bundle, write_manifest

    with Bundle.open(folder) as made:
        samples, manifest = made.samples(), made.manifest
    assert samples is not None
    session = onnxruntime.InferenceSession(str(folder / "onnx-fp32.onnx"), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": samples.inputs["x"]})
    samples.with_expected({"output": output}).save(folder / SAMPLES)
    write_manifest(folder, msgspec.structs.replace(manifest, files={}))
