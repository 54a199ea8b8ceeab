"""One run of the gate: how it compares, what it refuses to open, and what a second measurement says."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import onnx
import pytest
from msgspec.structs import replace
from tests.flows import onnx_files
from tests.flows.scripted import Scripted, fake_model

from edgekit.core.errors import UserError
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.reports.check import Checked
from edgekit.core.reports.report import Missing, Report
from edgekit.core.system import documents
from edgekit.core.system.check_settings import CheckedModel, CheckFile
from edgekit.core.system.progress import Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import parse_targets
from edgekit.core.verdict import Verdict
from edgekit.flows.judging.gate import Gate, Gated, confirmed, is_measured, open_gated
from edgekit.flows.opening import devices

MODEL = CheckedModel(path="a.fake.json", name="a")
FILE = CheckFile(models=(MODEL,), target=("fake",))
ALARM = Checked(model="a", artifact="a", target="fake", kind="budget", check="x", verdict=Verdict.FAIL, message="2 ms")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fake_model(tmp_path / "a.fake.json")
    fake_model(tmp_path / "b.fake.json", offset=1)
    return tmp_path


def gated(folder: Path, file: CheckFile = FILE, **changes: Any) -> Gated:
    with ExitStack() as stack:
        return open_gated(folder, file, replace(MODEL, **changes), stack, Silent())


def gate(**changes: Any) -> Gate:
    return Gate(replace(FILE, **changes), Settings(seed=7, wait_s=3.0), Silent(), ())


def test_comparisons_follow_the_table_and_a_second_has_another_order() -> None:
    found = gate(launches=6, time_box_s=9.0, minimum_effect=0.1, alpha=0.01)

    first, second = found.protocol(), found.protocol(again=True)

    assert (first.pairs, first.time_box_s, first.minimum_effect, first.alpha) == (6, 9.0, 0.1, 0.01)
    assert (first.seed, second.seed, first.wait_s) == (7, 1007, 3.0)


def test_a_run_begins_without_results() -> None:
    first, second = gate(), gate()
    first.results.append(ALARM)

    lists = (second.results, second.reports, second.comparisons, second.outside, second.warnings)
    assert (*lists, second.values, second.sizes, second.nights, second.since) == (*[[]] * 5, *[{}] * 4)


def test_a_model_is_measured_in_as_many_launches_as_the_table_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Scripted(lambda number, job: 1e-3, values=40)
    monkeypatch.setattr(devices, "open_device", lambda name: device)
    with ExitStack() as stack:
        model = open_gated(folder, FILE, MODEL, stack, Silent())

        found = gate(launches=6, time_limit_s=0.25).profile(model, model.artifacts)
        gate().profile(model, model.artifacts, again=2)

    assert [len(one.launches) for one in found.measurements] == [6]
    assert model.found.path == folder / "a.fake.json"
    assert [job.time_limit_s for job in device.jobs] == [0.25] * 6 + [0.5] * 8


def test_a_free_axis_is_asked_for_in_the_table(folder: Path) -> None:
    axes = [onnx_files.tensor("x", ["N", "T"])], [onnx_files.tensor("y", ["N", "T"])]
    onnx.save(onnx_files.model([onnx.helper.make_node("Relu", ["x"], ["y"])], *axes, []), str(folder / "c.onnx"))

    with pytest.raises(UserError) as caught:
        gated(folder, path="c.onnx", name="c")

    assert caught.value.hint == """In the [[check.models]] of 'c': sizes = ["T=64"]"""
    assert gated(folder, path="c.onnx", name="c", sizes=("T=16",)).found.spec.inputs[0].name == "x"


def test_all_metrics_are_compared_unless_the_table_names_some() -> None:
    assert gate().compares("memory")
    assert gate(baseline_metrics=("size",)).compares("size")
    assert not gate(baseline_metrics=("size",)).compares("memory")


def test_only_a_metric_that_the_table_names_is_missed() -> None:
    named, unnamed = gate(baseline_metrics=("size",)), gate()

    for one in (named, unnamed):
        one.cannot_compare("size", "a", "it has none")

    assert named.warnings == ["Not compared with the baseline: size of a, because it has none."]
    assert unnamed.warnings == []


def test_an_artifact_is_measured_where_all_its_launches_are() -> None:
    (local,) = parse_targets("local")
    run = Measurement("local", "x", "latency", "s", (Launch(0, (1e-3,)),))
    whole = Report(command="check", created="now", measurements=(run,))

    assert is_measured(whole, "x", local)
    assert not is_measured(whole, "y", local)
    assert not is_measured(replace(whole, missing=(Missing("x", "local", "away", "gone"),)), "x", local)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Verdict.FAIL, "2 ms, confirmed by 3 ms"),
        (Verdict.PASS, "2 ms, not confirmed by 3 ms"),
        (Verdict.INCONCLUSIVE, "2 ms, not confirmed by 3 ms"),
    ],
)
def test_the_second_measurement_counts(second: Verdict, message: str) -> None:
    found = confirmed(ALARM, second, "3 ms")

    assert (found.verdict, found.message) == (second, message)


def test_a_model_is_opened_with_its_own_targets_and_the_budgets_of_both(folder: Path) -> None:
    file = replace(FILE, target=("local",), budgets=("load <= 1 s",))

    own = gated(folder, file, target=("fake",), budgets=("size <= 1 MB",))
    shared = gated(folder, FILE)

    assert ([str(one) for one in own.targets], [one.text for one in own.budgets]) == (
        ["fake"],
        ["load <= 1 s", "size <= 1 MB"],
    )
    assert ([str(one) for one in shared.targets], shared.budgets, shared.baseline) == (["fake"], (), None)
    assert [one.file for one in own.artifacts] == ["a.fake.json"]


def test_a_baseline_is_opened_by_its_kind_and_named_for_the_history(folder: Path) -> None:
    documents.write(folder / "old.json", Report(command="profile", created="then"))

    other, report = gated(folder, baseline="b.fake.json"), gated(folder, baseline="old.json")

    assert (other.against, report.against) == ("b.fake.json", "old.json")
    assert not isinstance(other.baseline, Report | None)
    assert isinstance(report.baseline, Report)
    assert report.baseline.created == "then"


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        ("old.json", ("edgekit profile", "a.fake.json --report", "old.json")),
        ("old.onnx", ("edgekit history accept --model a --why 'first baseline'",)),
    ],
)
def test_a_missing_baseline_is_measured_or_accepted(folder: Path, baseline: str, words: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"There is no baseline '.*' of 'a'") as caught:
        gated(folder, baseline=baseline)

    assert all(word in (caught.value.hint or "") for word in words)


def test_what_cannot_be_judged_is_refused_before_anything_runs(folder: Path) -> None:
    with pytest.raises(UserError, match="needs samples with labels"):
        gated(folder, budgets=("accuracy >= 90 %",))
    with pytest.raises(UserError, match="target in a budget"):
        gated(folder, budgets=("@pi5: size <= 1 MB",))
    with pytest.raises(UserError, match="device"):
        gated(folder, target=("nowhere",))
