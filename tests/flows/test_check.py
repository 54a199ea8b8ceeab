"""The gate on devices whose times are known: what passes, fails, is confirmed, counted and recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.cli.conftest import write_bundle
from tests.flows.scripted import Answer, Scripted, fake_model

from edgekit.core.bundle import SAMPLES, Bundle, write_manifest
from edgekit.core.errors import DiskFull, UserError
from edgekit.core.job import Job
from edgekit.core.reports.check import Checked, CheckReport
from edgekit.core.reports.history import Run
from edgekit.core.samples import Samples
from edgekit.core.statistics.nightly import RERUNS
from edgekit.core.system import documents
from edgekit.core.verdict import Verdict
from edgekit.flows.check import check_order
from edgekit.flows.judging import history
from edgekit.flows.opening import devices
from edgekit.flows.order import door
from edgekit.flows.profile import profile

check = door(check_order)
Use = Callable[[Answer], Scripted]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models, a and b, and a place for the configuration."""
    fake_model(tmp_path / "a.fake.json", offset=0)
    fake_model(tmp_path / "b.fake.json", offset=1)
    return tmp_path


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """`use(answer)`: the target `fake` is a device that answers so."""

    def install(answer: Answer) -> Scripted:
        device = Scripted(answer, values=40)
        monkeypatch.setattr(devices, "open_device", lambda name: device)
        return device

    return install


def times(a: float = 1e-3, b: float = 1e-3, *, spread: float = 0.002) -> Answer:
    """Launches of model a take `a` seconds, those of b `b`, with a small ripple."""

    def answer(number: int, job: Job) -> float:
        return (a if Path(job.artifact).name.startswith("a") else b) * (1 + spread * (number % 5))

    return answer


def config(folder: Path, table: str = "", model: str = "") -> Path:
    path = folder / "edgekit.toml"
    head = '[check]\ntarget = ["fake"]\nlaunches = 5\n'
    path.write_text(f'{head}{table}\n[[check.models]]\npath = "b.fake.json"\nname = "b"\n{model}\n')
    return path


def only(report: CheckReport, kind: str, metric: str = "") -> Checked:
    (found,) = (one for one in report.results if one.kind == kind and metric in ("", one.metric))
    return found


def test_budgets_and_baseline_that_hold_pass_and_are_recorded(folder: Path, use: Use) -> None:
    use(times())
    path = config(folder, 'budgets = ["latency.p50 <= 2 ms", "size <= 1 kB"]', 'baseline = "a.fake.json"')

    found = check(path)

    assert found.verdict is Verdict.PASS
    assert [one.check for one in found.results] == [
        "latency.p50 <= 2 ms",
        "size <= 1 kB",
        "not slower than a.fake.json",
        "not larger than a.fake.json",
    ]
    (line,) = history.read_history(folder / "edgekit-history.jsonl")
    assert isinstance(line, Run)
    assert line.values == {"b/b.fake@fake": pytest.approx(1e-3, rel=0.02)}


def recorded_until_full(path: Path, recorded: Path) -> bytes:
    """The history before the run that found no room; its last page has room for a few runs."""
    for _ in range(100):
        before = recorded.read_bytes()
        try:
            check(path)
        except DiskFull:
            return before
    pytest.fail("the disk has never been full")


def test_a_full_disk_costs_one_run_and_no_later_one(folder: Path, use: Use, tiny_disk: Path) -> None:
    use(times())
    path = config(folder, f'history = "{tiny_disk}/history.jsonl"')
    recorded = tiny_disk / "history.jsonl"
    check(path)
    filler = tiny_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
        while stream.write(bytes(1024)):
            pass
    before = recorded_until_full(path, recorded)
    assert recorded.read_bytes() == before
    filler.unlink()

    # As an earlier version left it.
    recorded.write_bytes(before + before[:50])
    found = check(path)

    assert found.verdict is Verdict.PASS
    assert f"The last line of '{recorded}' was moved to '{recorded}.torn'" in found.warnings[-1]
    assert recorded.read_bytes().startswith(before)
    assert check(path).warnings == ()


def test_a_slower_model_fails_after_a_second_measurement(folder: Path, use: Use) -> None:
    device = use(times(b=1.1e-3))

    found = check(config(folder, model='baseline = "a.fake.json"'))

    assert found.verdict is Verdict.FAIL
    assert only(found, "baseline", "latency").estimate.value == pytest.approx(1.1, abs=0.01)
    assert ", confirmed by +" in only(found, "baseline", "latency").message
    assert [one.says for one in found.comparisons] == ["slower", "slower"]
    assert len(device.jobs) == 5 + 10 + 10


def test_an_alarm_that_does_not_come_again_is_none(folder: Path, use: Use) -> None:
    def answer(number: int, job: Job) -> float:
        slowed = Path(job.artifact).name.startswith("b") and 5 <= number < 15
        return (1.2e-3 if slowed else 1e-3) * (1 + 0.002 * (number % 5))

    use(answer)

    found = check(config(folder, model='baseline = "a.fake.json"'))

    assert found.verdict is Verdict.PASS
    assert "not confirmed" in only(found, "baseline", "latency").message


def test_a_missed_budget_is_measured_again_before_it_fails(folder: Path, use: Use) -> None:
    device = use(times())

    found = check(config(folder, 'budgets = ["latency.p50 <= 0.5 ms"]'))

    assert found.verdict is Verdict.FAIL
    assert "confirmed by 1.004 ms [1.000, 1.008]" in only(found, "budget").message
    assert len(device.jobs) == 10


def test_a_budget_typed_without_blanks_is_measured_again_too(folder: Path, use: Use) -> None:
    device = use(times())

    found = check(config(folder, 'budgets = ["latency.p50<=0.5ms"]'))

    assert "confirmed by 1.004 ms [1.000, 1.008]" in only(found, "budget").message
    assert only(found, "budget").metric == "latency"
    assert len(device.jobs) == 10


def test_a_budget_missed_once_only_passes(folder: Path, use: Use) -> None:
    use(lambda number, job: (1e-3 if number < 5 else 1e-4) * (1 + 0.002 * (number % 5)))

    found = check(config(folder, 'budgets = ["latency.p50 <= 0.5 ms"]'))

    assert only(found, "budget").verdict is Verdict.PASS


def test_an_exact_budget_fails_without_a_second_measurement(folder: Path, use: Use) -> None:
    device = use(times())

    found = check(config(folder, 'budgets = ["size <= 10 B"]'))

    assert found.verdict is Verdict.FAIL
    assert len(device.jobs) == 5


def noisy(number: int, job: Job) -> float:
    return 1e-3 * (1.0, 1.4, 0.8, 2.0, 1.1, 0.7, 1.6)[number % 7]


@pytest.mark.parametrize(
    ("policy", "verdict"), [("pass", Verdict.PASS), ("report", Verdict.INCONCLUSIVE), ("fail", Verdict.FAIL)]
)
def test_noise_is_inconclusive_and_follows_the_policy(folder: Path, use: Use, policy: str, verdict: Verdict) -> None:
    use(noisy)

    found = check(config(folder, f'inconclusive = "{policy}"', 'baseline = "a.fake.json"'))

    assert found.verdict is verdict
    assert only(found, "baseline", "latency").verdict is Verdict.INCONCLUSIVE


def test_the_tenth_inconclusive_run_in_a_row_fails(folder: Path, use: Use) -> None:
    use(noisy)
    path = config(folder, model='baseline = "a.fake.json"')

    verdicts = [check(path).verdict for _ in range(10)]
    use(times())
    quiet = check(path)

    assert verdicts == [Verdict.PASS] * 9 + [Verdict.FAIL]
    assert quiet.verdict is Verdict.PASS


def test_a_report_may_be_the_baseline(folder: Path, use: Use) -> None:
    use(times())
    documents.write(folder / "before.json", profile(folder / "b.fake.json", target="fake", launches=5))
    path = config(folder, model='baseline = "before.json"')

    same = check(path)
    use(times(b=2e-3))
    slower = check(path)

    assert (same.verdict, slower.verdict) == (Verdict.PASS, Verdict.FAIL)


def test_a_night_is_judged_against_the_nights_before_with_re_runs(folder: Path, use: Use) -> None:
    path = config(folder, "nightly = true")
    device = use(times())
    for _ in range(6):
        assert check(path).verdict is Verdict.PASS
    before = len(device.jobs)
    device = use(times(b=1.2e-3))

    found = check(path)

    assert before == 6 * 5
    assert found.verdict is Verdict.FAIL
    assert only(found, "history").message == "all 6 values are slower, the median by +20.0 %"
    assert len(device.jobs) == (1 + RERUNS) * 5


def test_too_few_nights_are_inconclusive(folder: Path, use: Use) -> None:
    use(times())

    found = check(config(folder, "nightly = true"))

    assert only(found, "history").verdict is Verdict.INCONCLUSIVE
    assert found.verdict is Verdict.PASS


def test_without_record_the_history_stays_as_it_is(folder: Path, use: Use) -> None:
    use(times())

    check(config(folder), record=False)

    assert not (folder / "edgekit-history.jsonl").exists()


def test_changes_take_the_place_of_the_table(folder: Path, use: Use) -> None:
    device = use(times())

    check(config(folder), changes={"launches": 7})

    assert len(device.jobs) == 7


def test_a_plan_touches_nothing(folder: Path, use: Use) -> None:
    device = use(times())
    path = config(folder, 'budgets = ["size <= 1 kB"]\nnightly = true', 'baseline = "a.fake.json"')

    with check_order(path) as order:
        steps = order.steps()

    assert device.jobs == []
    assert [step.split()[0] for step in steps] == ["measure", "judge", "measure", "judge", "add"]


def test_a_missing_baseline_names_the_command_that_makes_it(folder: Path, use: Use) -> None:
    use(times())

    with pytest.raises(UserError, match="no baseline") as failure:
        check(config(folder, model='baseline = "none.onnx"'))

    assert failure.value.hint == "edgekit history accept --model b --why 'first baseline'"
    assert not (folder / "edgekit-history.jsonl").exists()


def bundle(folder: Path, *, off: float = 0.0) -> Path:
    """A real bundle of a linear classifier whose reference outputs are `off` by a constant."""
    images = np.random.default_rng(0).normal(size=(40, 1, 8, 8)).astype(np.float32)
    write_bundle(folder / "bundle", Samples({"x": images}, np.arange(40) % 3))
    with Bundle.open(folder / "bundle") as made:
        samples, manifest = made.samples(), made.manifest
    assert samples is not None
    answers = samples.expected["output"].astype(np.float32) + np.float32(off)
    samples.with_expected({"output": answers}).save(folder / "bundle" / SAMPLES)
    write_manifest(folder / "bundle", msgspec.structs.replace(manifest, files={}))
    path = folder / "edgekit.toml"
    path.write_text(
        '[check]\nlaunches = 5\ntime_limit_s = 0.01\nbudgets = ["latency.p50 <= 1 s", "accuracy >= 0 %"]\n'
        '[[check.models]]\npath = "bundle"\n'
    )
    return path


@pytest.mark.slow
def test_a_real_bundle_is_measured_on_this_machine_with_its_accuracy(tmp_path: Path) -> None:
    found = check(bundle(tmp_path))

    assert found.verdict is Verdict.PASS
    assert {one.check for one in found.results} == {"parity", "latency.p50 <= 1 s", "accuracy >= 0 %"}
    assert {one.verdict for one in found.results} == {Verdict.PASS}


@pytest.mark.slow
def test_an_artifact_that_answers_otherwise_than_pytorch_fails_and_has_no_latency(tmp_path: Path) -> None:
    found = check(bundle(tmp_path, off=5.0))

    assert found.verdict is Verdict.FAIL
    assert only(found, "parity").verdict is Verdict.FAIL
    assert "output 'output' has difference 5" in only(found, "parity").message
    assert found.reports[0].latency == ()
    (line,) = history.read_history(tmp_path / "edgekit-history.jsonl")
    assert isinstance(line, Run)
    assert line.values == {}


def test_budgets_targets_and_recipes_are_checked_when_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_text(
        '[check]\nbudgets = ["latncy.p50 <= 1 ms", "size <= 1 kB"]\n'
        '[[check.models]]\nsource = "net.py:Net"\nto = ["onnx-fp31"]\nbudgets = ["size >= 1 kB"]\n'
    )

    with pytest.raises(UserError) as caught:
        check(tmp_path / "edgekit.toml")

    assert "budgets: Unknown budget metric 'latncy.p50'. Did you mean 'latency.p50'?" in caught.value.message
    assert "models[0].budgets: Budget 'size >= 1 kB': 'size' requires '<='" in caught.value.message
    assert "models[0].to: Unknown recipe 'onnx-fp31'" in caught.value.message
