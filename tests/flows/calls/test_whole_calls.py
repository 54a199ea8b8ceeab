"""Calls from a file to a prediction, timed on real bundles: their parts, their report, and what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import helper
from PIL import Image
from rich.console import Console
from tests.flows.nets.small_bundles import bundle
from tests.flows.scripted import fake_model

from edgekit.core.budget import Budget
from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.measurement import PARTS, WHOLE, CallParts, Launch, Measurement
from edgekit.core.reports.report import REPORT_SCHEMA, Report
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system import documents
from edgekit.core.target import Target, parse_targets
from edgekit.core.verdict import Verdict
from edgekit.flows.check import check_order
from edgekit.flows.judging.budgets import judge_budgets, parse_budgets
from edgekit.flows.measuring.summary import end_to_end
from edgekit.flows.order import door
from edgekit.flows.profile import profile, profile_order
from edgekit.report.markdown import render_markdown
from edgekit.report.pages.html import render_html
from edgekit.report.terminal import render

check = door(check_order)
ARTIFACT = Artifact("onnx-fp32", "m.onnx", "onnx", "fp32", 1, "", "", (), ())


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    """Two candidates wherever one looks, of which one is better."""
    spec = ModelSpec(
        "corner",
        "detection",
        (TensorSpec("image", "float32", ("N", 1, 4, 4)),),
        (TensorSpec("boxes", "float32", ("N", 2, 4)), TensorSpec("scores", "float32", ("N", 2, 1))),
        labels=("thing",),
        preprocessing=ImageInput(4, 4, 1),
        postprocessing=DetectionOutput("boxes", "scores"),
    )
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "none8"], ["zeros8"]),
        helper.make_node("Add", ["zeros8", "corners"], ["eight"]),
        helper.make_node("Reshape", ["eight", "as_boxes"], ["boxes"]),
        helper.make_node("MatMul", ["flat", "none2"], ["zeros2"]),
        helper.make_node("Add", ["zeros2", "likely"], ["two"]),
        helper.make_node("Reshape", ["two", "as_scores"], ["scores"]),
    ]
    return bundle(
        tmp_path / "corner",
        spec,
        nodes,
        none8=np.zeros((16, 8), np.float32),
        none2=np.zeros((16, 2), np.float32),
        corners=np.array([[0, 0, 2, 2, 0, 0, 2, 1.9]], np.float32),
        likely=np.array([[0.9, 0.6]], np.float32),
        as_boxes=np.array([-1, 2, 4], np.int64),
        as_scores=np.array([-1, 2, 1], np.int64),
    )


def measured(path: Path, *input: str, launches: int = 1) -> Report:
    return profile(path, end_to_end=True, input=input, launches=launches, time_limit_s=0.02)


@pytest.mark.slow
def test_a_classifier_is_timed_from_its_file_to_its_label(classifier: Path, photo: Path) -> None:
    report = measured(classifier, str(photo), launches=5)

    (row,) = report.latency
    assert row.end_to_end is not None
    for quantiles in row.end_to_end.columns.values():
        assert list(quantiles) == ["p50", "p95"]
    assert report.input.startswith("photo.jpg, 128 x 96 pixels, ")
    parts = [launch.end_to_end for launch in report.measurements[0].counted]
    assert len(parts) == 5
    for one in parts:
        assert one is not None
        assert len(one.inference) >= 80
        assert min(min(one.times(name)) for name in PARTS) > 0
    # A jpg is decoded and resized, for a network of two sums: reading is the larger part by far.
    p50 = {name: quantiles["p50"].value for name, quantiles in row.end_to_end.columns.items()}
    assert (p50["preprocess"] or 0) > (p50["inference"] or 0) > 0
    # Inference alone is timed as without the option.
    assert row.quantiles["p50"].value is not None

    assert not [text for text in report.warnings if "--input FILE" in text]
    for text in shown(report):
        assert "preprocess" in text
        assert "photo.jpg, 128 x 96 pixels" in text
    assert "End to end" not in "".join(shown(as_of_schema_5(report)))


def shown(report: Report) -> tuple[str, ...]:
    printed = io.StringIO()
    render(report, Console(file=printed, width=100))
    return printed.getvalue(), render_markdown(report), render_html(report)


def as_of_schema_5(report: Report) -> Report:
    """The report as an earlier edgekit wrote it, read by this one."""
    old = json.loads(msgspec.json.encode(report)) | {"schema_version": 5}
    del old["input"]
    for row in old["latency"]:
        del row["end_to_end"]
    for launch in old["measurements"][0]["launches"]:
        del launch["end_to_end"]
    before = documents.decode(json.dumps(old).encode(), Report, what="A report", newest=REPORT_SCHEMA)
    assert [one.end_to_end for one in before.latency] == [None] * len(report.latency)
    assert [one.launch_values for one in before.measurements] == [one.launch_values for one in report.measurements]
    return before


@pytest.mark.slow
def test_boxes_are_decoded_in_each_call_and_only_a_report_of_such_calls_is_resumed(
    detector: Path, photo: Path, tmp_path: Path
) -> None:
    report = measured(detector, str(photo))
    for name, one in (("whole", report), ("old", as_of_schema_5(report))):
        (tmp_path / f"{name}.json").write_bytes(msgspec.json.encode(one))

    (launch,) = report.measurements[0].counted
    assert launch.end_to_end is not None
    assert len(launch.end_to_end.postprocess) >= 80

    again = profile(detector, end_to_end=True, input=[str(photo)], resume=tmp_path / "whole.json", launches=1)
    assert (again.measurements, again.latency, again.input) == (report.measurements, report.latency, report.input)
    with pytest.raises(UserError, match="cannot be resumed: its calls were timed without reading a file"):
        profile(detector, end_to_end=True, input=[str(photo)], resume=tmp_path / "old.json", launches=1)
    with pytest.raises(UserError, match=r"The earlier calls began with photo\.jpg, .*, not with sample 0 as a png"):
        profile(detector, end_to_end=True, resume=tmp_path / "whole.json", launches=1)


@pytest.mark.slow
def test_without_a_file_a_sample_of_a_sound_becomes_one_again(loud: Path) -> None:
    report = measured(loud)

    assert report.input == "sample 0 as a wav of 0.0005 s"
    assert report.measurements[0].part(WHOLE).launches
    assert [text for text in report.warnings if "--input FILE" in text]


def test_the_plan_names_whole_calls(classifier: Path) -> None:
    with profile_order(classifier, end_to_end=True) as order:
        assert "time calls from a file to a prediction in each launch" in order.steps()


def refusal(path: Path, *input: str, **options: Any) -> UserError:
    with pytest.raises(UserError) as raised:
        profile(path, end_to_end=True, input=input, launches=1, **options)
    return raised.value


def test_what_cannot_be_timed_from_end_to_end_is_refused_with_the_next_command(
    classifier: Path, forecaster: Path, translator: Path, tmp_path: Path
) -> None:
    bare = fake_model(tmp_path / "a.fake.json")

    away, batch = refusal(classifier, target="fake"), refusal(classifier, batch=(1, 8))
    assert "'fake' cannot be timed from end to end" in away.message
    assert away.hint == f"edgekit profile {classifier} --end-to-end --target local"
    assert batch.hint == f"edgekit profile {classifier} --end-to-end --batch 1"
    assert refusal(bare).hint == f"edgekit export {bare} --preprocess STEPS --out BUNDLE"
    assert "in several calls" in refusal(translator).message
    assert refusal(forecaster).hint == f"edgekit profile {forecaster} --end-to-end --input FILE"
    assert "got 2: a.png, b.png" in refusal(classifier, "a.png", "b.png").message
    assert "Input file 'none.png' does not exist." in refusal(classifier, "none.png").message


def planted(times: Sequence[Sequence[float]], launches: int = 6) -> Measurement:
    """Launches whose calls took these times: preprocessing, inference, postprocessing."""
    preprocess, inference, postprocess = zip(*times, strict=True)
    parts = CallParts(preprocess, inference, postprocess)
    made = tuple(Launch(order, (0.001,) * 60, end_to_end=parts) for order in range(launches))
    return Measurement("local", "onnx-fp32", "latency", "s", made)


def test_the_percentile_of_the_sums_is_not_the_sum_of_the_percentiles() -> None:
    # In 4 of 100 calls each part takes ten times as long, but never two parts in one call.
    times = np.full((100, 3), 0.001)
    for part in range(3):
        times[part * 30 : part * 30 + 4, part] = 0.010
    rng = np.random.default_rng(0)

    found = end_to_end(planted(rng.permutation(times).tolist()))

    assert found is not None
    p95 = {name: quantiles["p95"].value for name, quantiles in found.columns.items()}
    assert [p95[name] for name in PARTS] == pytest.approx([0.001] * 3)
    assert p95["end to end"] == pytest.approx(0.012)


def test_too_few_calls_have_no_p95_and_say_how_many_it_needs() -> None:
    found = end_to_end(planted([[0.001, 0.002, 0.003]] * 30))

    assert found is not None
    assert found.whole["p50"].value == pytest.approx(0.006)
    assert (found.whole["p95"].value, found.whole["p95"].reason) == (
        None,
        "n too small: 30 values per launch, 59 are needed",
    )


@pytest.mark.parametrize(
    ("limit", "verdict"), [("7 ms", Verdict.PASS), ("5 ms", Verdict.FAIL), ("6 ms", Verdict.INCONCLUSIVE)]
)
def test_a_budget_limits_the_percentile_of_the_sums(limit: str, verdict: Verdict) -> None:
    rng = np.random.default_rng(1)
    launches = tuple(
        planted(rng.normal(level, 0.00001, (80, 3)).tolist(), 1).launches[0]
        for level in (0.0019, 0.0020, 0.0021, 0.0020, 0.0019, 0.0020)
    )
    report = Report(
        command="check",
        created="",
        artifacts=(ARTIFACT,),
        measurements=(msgspec.structs.replace(planted([[1.0] * 3]), launches=launches),),
    )
    budget = Budget.parse(f"end_to_end.p95 <= {limit}")

    (found,) = judge_budgets([budget], [Target.parse("local")], report)

    assert found.verdict is verdict
    assert (found.metric, found.unit) == ("end_to_end", "s")


def test_without_whole_calls_a_budget_on_them_is_undecided() -> None:
    old = Measurement("local", "onnx-fp32", "latency", "s", (Launch(0, (0.001,) * 60),) * 6)
    report = Report(command="check", created="", artifacts=(ARTIFACT,), measurements=(old,))

    (found,) = judge_budgets([Budget.parse("end_to_end.p95 <= 1 s")], [Target.parse("local")], report)

    assert (found.verdict, found.estimate.reason) == (
        Verdict.INCONCLUSIVE,
        "calls from end to end were not measured",
    )


@pytest.mark.parametrize(("target", "text"), [
    ("fake", "end_to_end.p95 <= 1 s"),
    ("local,fake", "end_to_end.p95 <= 1 s"),
    ("local,fake", "onnx-fp32@fake: end_to_end.p95 <= 1 s"),
])  # fmt: skip
def test_a_budget_on_a_device_that_reads_no_files_is_refused(target: str, text: str) -> None:
    with pytest.raises(UserError, match="cannot be measured on 'fake'") as raised:
        parse_budgets(text, parse_targets(target), ())

    assert raised.value.hint.startswith("--budget ")
    assert "@local: end_to_end.p95 <= 1 s" in raised.value.hint
    assert parse_budgets("@local: end_to_end.p95 <= 1 s", parse_targets("local,fake"), ())


def test_a_budget_on_samples_that_are_no_files_is_refused(forecaster: Path) -> None:
    with pytest.raises(UserError, match="samples of 'more' cannot become one"):
        check(configured(forecaster, "end_to_end.p95 <= 1 s"))
    with pytest.raises(UserError, match=r"Input file '.*none\.csv' does not exist"):
        check(configured(forecaster, "end_to_end.p95 <= 1 s", 'end_to_end = "none.csv"'))
    with pytest.raises(UserError, match="outside"):
        check(configured(forecaster, "end_to_end.p95 <= 1 s", 'end_to_end = "../photo.csv"'))


def configured(path: Path, budget: str, model: str = "") -> Path:
    config = path.parent / "edgekit.toml"
    config.write_text(
        f"[check]\nlaunches = 5\ntime_limit_s = 0.01\nbudgets = [{json.dumps(budget, ensure_ascii=False)}]\n"
        f'[[check.models]]\npath = "{path.name}"\n{model}\n'
    )
    return config


@pytest.mark.slow
def test_a_check_times_whole_calls_where_a_budget_limits_them(classifier: Path, photo: Path) -> None:
    found = check(configured(classifier, "end_to_end.p50 <= 1 µs", f'end_to_end = "{photo.name}"'))

    (budget,) = (one for one in found.results if one.kind == "budget")
    assert budget.verdict is Verdict.FAIL
    assert "confirmed by" in budget.message
    assert found.reports[0].input.startswith("photo.jpg, 128 x 96 pixels")
