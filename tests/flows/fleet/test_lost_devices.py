"""A device that is lost, fails or is unable in the middle of a command: the others are complete, and nothing is lost.

The devices are scripted: what each does at each launch is exact, and a launch takes no time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from tests.flows.scripted import Answer, Scripted, fake_model

from edgekit.core.errors import DeviceError, DeviceUnavailable, EdgekitError, ModelUnreadable, UserError
from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.core.reports.check import CheckReport
from edgekit.core.system import documents
from edgekit.core.verdict import Verdict
from edgekit.flows.check import check_order
from edgekit.flows.compare import compare
from edgekit.flows.opening import devices
from edgekit.flows.order import door
from edgekit.flows.profile import profile
from edgekit.report.comparison import render_markdown

LINEAR = Path(__file__).parents[2] / "runtime" / "data" / "linear.onnx"
check = door(check_order)
Use = Callable[..., dict[str, Scripted]]
FAULTS = [
    DeviceUnavailable("no response", hint="edgekit devices check bad"),
    DeviceError("killed by signal 9"),
    ModelUnreadable("its backend cannot load the model"),
]
by_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda one: type(one).__name__)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """`use(good=device, bad=device)`: the devices by their names in targets."""

    def install(**named: Scripted) -> dict[str, Scripted]:
        for name, device in named.items():
            device.name = name
        monkeypatch.setattr(devices, "open_device", named.__getitem__)
        return named

    return install


def steady(number: int, job: Job) -> float:
    """A launch of model b takes 10 % longer than one of a."""
    return (1e-3 if Path(job.artifact).name.startswith("a") else 1.1e-3) * (1 + 0.002 * (number % 5))


def faster(number: int, job: Job) -> float:
    return 0.9 * steady(number, job)


def until(last: int, fault: EdgekitError) -> Answer:
    """Steady launches, and then this fault in every one."""

    def answer(number: int, job: Job) -> float:
        if number >= last:
            raise fault
        return steady(number, job)

    return answer


def device(answer: Answer = steady, *, emulated: bool = False) -> Scripted:
    return Scripted(answer, values=40, emulated=emulated)


def config(folder: Path, baseline: str) -> Path:
    fake_model(folder / "a.fake.json")
    fake_model(folder / "b.fake.json", offset=1)
    path = folder / "edgekit.toml"
    path.write_text(
        '[check]\ntarget = ["bad", "good"]\nlaunches = 5\nbudgets = ["latency.p50 <= 0.5 ms", "size <= 1 kB"]\n'
        f'[[check.models]]\npath = "b.fake.json"\nname = "b"\nbaseline = "{baseline}"\n'
    )
    return path


def on(report: CheckReport, target: str) -> dict[str, Verdict]:
    return {one.check: one.verdict for one in report.results if one.target == target and one.kind != "device"}


@pytest.mark.parametrize(("last", "fault"), list(zip([0, 3, 5, 9, 14, 20, 27], cycle(FAULTS), strict=False)), ids=str)
def test_a_check_judges_the_other_device_whenever_one_fails(
    tmp_path: Path, use: Use, last: int, fault: EdgekitError
) -> None:
    """A healthy device makes 5 launches of the model, 10 against its baseline, 10 again, and 5 of the failed budget."""
    path = config(tmp_path, "a.fake.json")
    use(bad=device(until(last, fault)), good=device())

    found = check(path, record=False)

    budgets = {"latency.p50 <= 0.5 ms": "fail", "size <= 1 kB": "pass"}
    latency = {"not slower than a.fake.json": "fail"}
    size = {"not larger than a.fake.json": "pass"}
    assert on(found, "good") == budgets | latency | (size if last < 5 else {})
    assert found.verdict is Verdict.FAIL
    there = on(found, "bad")
    assert there == {key: one for key, one in there.items() if one in ("pass", "fail", "incomplete")}
    assert "incomplete" in [one.verdict for one in found.results if one.target == "bad"]
    assert ("not larger than a.fake.json" in there) == (last >= 5)


@pytest.mark.parametrize(("last", "fault"), list(zip([3, 5, 7], FAULTS, strict=True)), ids=str)
def test_a_check_against_a_report_goes_on_when_a_device_fails(
    tmp_path: Path, use: Use, last: int, fault: EdgekitError
) -> None:
    path = config(tmp_path, "a.json")
    use(bad=device(faster), good=device(faster))
    before = profile(tmp_path / "b.fake.json", target="bad,good", launches=5, time_limit_s=0.01)
    documents.write(tmp_path / "a.json", before)
    use(bad=device(until(last, fault)), good=device())

    found = check(path, record=False)

    assert on(found, "good")["not slower than a.json"] == "fail"
    assert "incomplete" in [one.verdict for one in found.results if one.target == "bad"]


@pytest.mark.parametrize(("last", "fault"), list(zip([0, 1, 9], FAULTS, strict=True)), ids=str)
def test_a_comparison_keeps_the_other_device_whenever_one_fails(
    tmp_path: Path, use: Use, last: int, fault: EdgekitError
) -> None:
    a, b = fake_model(tmp_path / "a.fake.json"), fake_model(tmp_path / "ab.fake.json", offset=1)
    use(bad=device(until(last, fault)), good=device())

    found = compare(a, b, target="bad,good", launches=5)

    assert [(one.target, one.says) for one in found.pairs] == [("good", "equal")]
    assert [(one.target, one.reason) for one in found.missing] == [("bad", fault.message)]
    assert found.verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize(
    ("last", "fault", "launches"), [(0, FAULTS[0], 0), (1, FAULTS[0], 0), (9, FAULTS[0], 8), (9, FAULTS[1], 8)], ids=str
)
def test_a_comparison_on_one_device_that_is_lost_leaves_what_it_measured(
    tmp_path: Path, use: Use, last: int, fault: EdgekitError, launches: int
) -> None:
    """Whole pairs are kept; without any, at least the files are compared."""
    a, b = fake_model(tmp_path / "a.fake.json"), fake_model(tmp_path / "ab.fake.json", offset=1)
    use(bad=device(until(last, fault)))

    found = compare(a, b, target="bad", launches=5)

    assert (found.verdict, found.exit_code, found.pairs) == (Verdict.INCOMPLETE, 3, ())
    assert [len(one.launches) for one in found.measurements] == [launches // 2] * (2 if launches else 0)
    assert [(one.target, one.launches) for one in found.missing] == [("bad", launches)]
    assert found.missing[0].reason.startswith(fault.message)
    assert found.files is not None
    assert f"bad was not measured: {fault.message}" in render_markdown(found)


@pytest.mark.parametrize("fault", FAULTS[1:], ids=lambda one: type(one).__name__)
def test_a_comparison_that_its_only_device_refuses_has_nothing_to_report(
    tmp_path: Path, use: Use, fault: EdgekitError
) -> None:
    a, b = fake_model(tmp_path / "a.fake.json"), fake_model(tmp_path / "ab.fake.json", offset=1)
    use(bad=device(until(0, fault)))

    with pytest.raises(type(fault), match=fault.message):
        compare(a, b, target="bad", launches=5)


def test_a_target_that_does_not_open_one_side_is_refused_before_a_launch(tmp_path: Path, use: Use) -> None:
    a, b = fake_model(tmp_path / "a.fake.json"), fake_model(tmp_path / "b.fake.json", offset=1)
    used = use(good=device())

    with pytest.raises(UserError, match="does not open"):
        compare(a, b, target="good,good/litert")

    assert used["good"].jobs == []


class Fading(Scripted):
    """An emulated device that is lost after its launches: when it is asked for its state, or to count."""

    def __init__(self, at: str) -> None:
        super().__init__(steady, values=40, emulated=True)
        self.at = at
        self.asked = 0

    def facts(self) -> Facts:
        self.asked += 1
        if self.at == "facts" and self.asked > 1:
            raise FAULTS[0]
        return super().facts()

    def count(self, job: Job) -> tuple[int, ...]:
        if self.at == "count":
            raise FAULTS[0]
        return (100, 100)


@pytest.mark.parametrize("at", ["facts", "count"])
def test_a_device_that_is_lost_after_its_launches_keeps_them(tmp_path: Path, use: Use, at: str) -> None:
    use(bad=Fading(at), good=device())

    found = profile(fake_model(tmp_path / "a.fake.json"), target="bad,good", launches=5, time_limit_s=0.01)

    assert [(one.target, len(one.launches)) for one in found.measurements] == [("bad", 5), ("good", 5)]
    assert [(one.target, one.kind, one.launches) for one in found.missing] == [("bad", "away", 5)]
    assert found.verdict is Verdict.INCOMPLETE


@by_fault
def test_a_device_that_is_lost_while_it_times_operators_keeps_its_launches(
    tmp_path: Path, use: Use, fault: EdgekitError
) -> None:
    use(bad=device(until(5, fault)), good=device())
    model = fake_model(tmp_path / "a.fake.json")

    found = profile(model, target="bad,good", launches=5, time_limit_s=0.01, operators=True)

    assert {one.target for one in found.measurements} == {"bad", "good"}
    assert [one.target for one in found.operators] == ["good"]
    assert [(one.target, one.launches) for one in found.missing] == [("bad", 5)]
    assert found.verdict is Verdict.INCOMPLETE


def test_a_crash_while_operators_are_timed_costs_that_cell_alone(tmp_path: Path, use: Use) -> None:
    def answer(number: int, job: Job) -> float:
        if number == 10:  # after five launches of each batch
            raise FAULTS[2]
        return steady(number, job)

    use(bad=device(answer))

    found = profile(LINEAR, target="bad", batch=(1, 8), launches=5, time_limit_s=0.01, operators=True)

    assert [(one.batch, len(one.launches)) for one in found.measurements] == [(1, 5), (8, 5)]
    assert [(one.batch, one.kind) for one in found.missing] == [(1, "refused")]
    assert len(found.operators) == 1


def test_a_device_that_is_lost_under_sustained_load_keeps_its_launches(tmp_path: Path, use: Use) -> None:
    use(bad=device(until(5, FAULTS[2])))

    found = profile(fake_model(tmp_path / "a.fake.json"), target="bad", launches=5, time_limit_s=0.01, sustain_s=5.0)

    assert [len(one.launches) for one in found.measurements] == [5]
    assert found.verdict is Verdict.INCOMPLETE


class Choosy(Scripted):
    """A device that says before a launch that it cannot run model b, as one without Python does of .tflite."""

    def inability(self, job: Job) -> str:
        return "" if Path(job.artifact).name.startswith("a") else f"'{self.name}' runs .onnx on the CPU only."

    def measure(self, job: Job) -> JobResult:
        assert not self.inability(job)
        return super().measure(job)


def test_a_check_of_what_a_device_cannot_run_is_incomplete(tmp_path: Path, use: Use) -> None:
    path = config(tmp_path, "a.fake.json")
    used = use(bad=Choosy(faster), good=device(faster))

    found = check(path, record=False)

    assert [(one.check, one.verdict, one.message) for one in found.results if one.target == "bad"] == [
        ("measured", "incomplete", "'bad' runs .onnx on the CPU only.")
    ]
    assert len(on(found, "good")) == 4
    assert used["bad"].jobs == []


def test_a_comparison_skips_a_device_that_cannot_run_a_side(tmp_path: Path, use: Use) -> None:
    a, b = fake_model(tmp_path / "a.fake.json"), fake_model(tmp_path / "b.fake.json", offset=1)
    used = use(bad=Choosy(steady), good=device())

    found = compare(a, b, target="bad,good", launches=5)

    assert [(one.target, one.kind, one.reason) for one in found.missing] == [
        ("bad", "unable", "'bad' runs .onnx on the CPU only.")
    ]
    assert [one.target for one in found.pairs] == ["good"]
    assert used["bad"].jobs == []
