"""What `check` must not lose on the way: each test notices one fault that was planted in the gate."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.flows.planting import onnx_weight
from tests.flows.scripted import Answer, Scripted
from tests.flows.test_check import Use, bundle, check, config, only, times

from edgekit.core.bundle import SAMPLES, Bundle, write_manifest
from edgekit.core.job import Job, JobResult
from edgekit.core.reports.check import Checked, CheckReport
from edgekit.core.system.files import sha256_file
from edgekit.core.verdict import Verdict
from edgekit.flows.opening import devices


class Apart(Scripted):
    """A device whose first run takes three times as long as loading, and whose load takes what the script says."""

    def measure(self, job: Job) -> JobResult:
        found = super().measure(job)
        assert found.load_s is not None
        return msgspec.structs.replace(found, first_run_s=3 * found.load_s)


def apart(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> Apart:
    device = Apart(answer, values=40)
    monkeypatch.setattr(devices, "open_device", lambda name: device)
    return device


def by_check(report: CheckReport) -> dict[str, Checked]:
    return {one.check: one for one in report.results}


def test_a_weak_alarm_of_one_check_is_undecided_among_many(folder: Path, use: Use) -> None:
    weak, wide = '"latency.p50 <= 0.9999 ms"', ", ".join(f'"latency.p50 <= {2 + number} ms"' for number in range(20))
    use(times())

    alone = check(config(folder, f"budgets = [{weak}]"), record=False)
    among = check(config(folder, f"budgets = [{weak}, {wide}]"), record=False)

    assert alone.verdict is Verdict.FAIL
    assert by_check(among)["latency.p50 <= 0.9999 ms"].verdict is Verdict.INCONCLUSIVE
    assert "not significant among 21 checks" in by_check(among)["latency.p50 <= 0.9999 ms"].message


def test_load_and_first_run_are_judged_each_by_its_own_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart(monkeypatch, times())

    found = by_check(check(config(folder, 'budgets = ["load <= 2 ms", "first_run <= 2 ms"]')))

    assert found["load <= 2 ms"].verdict is Verdict.PASS
    assert found["first_run <= 2 ms"].verdict is Verdict.FAIL
    assert found["first_run <= 2 ms"].estimate.value == pytest.approx(3e-3, rel=0.02)


@pytest.mark.parametrize("budget", ["load<=0.5ms", "first_run<=0.5ms", "latency.p50<=0.5ms"])
def test_every_measured_budget_is_measured_again_however_it_is_typed(folder: Path, use: Use, budget: str) -> None:
    device = use(lambda number, job: (1e-3 if number < 5 else 1e-4) * (1 + 0.002 * (number % 5)))

    found = check(config(folder, f'budgets = ["{budget}"]'))

    assert only(found, "budget").verdict is Verdict.PASS
    assert "not confirmed" in only(found, "budget").message
    assert len(device.jobs) == 10


def test_a_budget_whose_second_measurement_has_no_value_is_undecided(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(number: int, job: Job) -> float:
        device.values = 40 if number < 5 else 2
        return 1e-3 * (1 + 0.002 * (number % 5))

    device = Scripted(answer)
    monkeypatch.setattr(devices, "open_device", lambda name: device)

    found = check(config(folder, 'budgets = ["latency.p50 <= 0.5 ms"]'))

    assert only(found, "budget").verdict is Verdict.INCONCLUSIVE


@pytest.mark.slow
def test_accuracy_its_drop_and_the_signal_to_noise_ratio_are_measured_where_a_budget_limits_one(tmp_path: Path) -> None:
    path = bundle(tmp_path)
    for budget in ("accuracy >= 0 %", "accuracy.drop <= 50 pt", "sqnr >= 10 dB"):
        path.write_text(
            f'[check]\nlaunches = 5\ntime_limit_s = 0.01\nbudgets = ["{budget}"]\n[[check.models]]\npath = "bundle"\n'
        )

        found = only(check(path, record=False), "budget")

        assert (found.verdict, found.estimate.value is not None) == (Verdict.PASS, True), budget


@pytest.mark.slow
def test_a_wrong_artifact_fails_although_another_is_chosen(tmp_path: Path) -> None:
    path = bundle(tmp_path)
    add_artifact(tmp_path / "bundle", "onnx-fp16", factor=3.0)

    found = check(path)

    (wrong,) = (one for one in found.results if one.verdict is Verdict.FAIL)
    assert (wrong.kind, wrong.artifact) == ("parity", "onnx-fp16")
    assert {one.artifact for one in found.results if one.kind == "budget"} == {"onnx-fp32"}


@pytest.mark.slow
def test_a_sample_that_no_launch_runs_is_compared_with_pytorch_as_well(tmp_path: Path) -> None:
    path = bundle(tmp_path)
    with Bundle.open(tmp_path / "bundle") as made:
        samples, manifest = made.samples(), made.manifest
    assert samples is not None
    expected = samples.expected["output"].copy()
    expected[30] += 5
    samples.with_expected({"output": expected}).save(tmp_path / "bundle" / SAMPLES)
    write_manifest(tmp_path / "bundle", msgspec.structs.replace(manifest, files={}))

    found = check(path)

    assert found.verdict is Verdict.FAIL
    assert "has difference 5" in only(found, "parity").message


def add_artifact(folder: Path, recipe: str, *, factor: float) -> None:
    """A second artifact in the bundle: the first one with weights times `factor`."""
    with Bundle.open(folder) as made:
        manifest = made.manifest
    (first,) = manifest.artifacts
    path = folder / f"{recipe}.onnx"
    shutil.copyfile(folder / first.file, path)
    onnx_weight("weights", lambda old: np.asarray(old * np.float32(factor)))(path)
    digest = sha256_file(path)
    other = msgspec.structs.replace(
        first, recipe=recipe, file=path.name, sha256=digest, id=digest, size_bytes=path.stat().st_size
    )
    write_manifest(folder, msgspec.structs.replace(manifest, artifacts=(first, other), files={}))
