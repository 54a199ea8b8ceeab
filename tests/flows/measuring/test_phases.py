"""A decoder with a cache is timed while it reads a prompt and while it writes: on real backends, and exactly."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from tests.export.shapes import writer
from tests.flows import onnx_files

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.reports.report import REPORT_SCHEMA, Estimate, Report
from edgekit.core.samples import Feed, Samples, read_arrays
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system import documents
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Silent
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.export.onnx.exporter import OnnxExporter
from edgekit.export.tflite.exporter import TfliteExporter
from edgekit.flows.fleet.profiled import Profiled
from edgekit.flows.judging.budgets import judge_budgets, parse_budgets
from edgekit.flows.judging.comparison import compare_reports
from edgekit.flows.measuring.cells import job_for, write_feeds
from edgekit.flows.measuring.measure import measure
from edgekit.flows.measuring.phases import phases_of, places_of, prompt_size
from edgekit.flows.measuring.rounds import Rounds
from edgekit.flows.measuring.summary import token_rate
from edgekit.flows.opening.artifacts import Opened, open_session
from edgekit.report.formatting import rate
from edgekit.report.pages.html import render_html
from edgekit.report.terminal import render
from edgekit.runtime.portable import PYTHON_RUNNER

LOCAL = Target("local")
PLACES = 12
COUNTER = ModelSpec(
    "counter",
    "generation",
    (TensorSpec("tokens", "int64", ("N", "T")), TensorSpec("place", "int64", ("N", 1))),
    (TensorSpec("logits", "int64", ("N", "T")), TensorSpec("place_next", "int64", ("N", 1))),
    sizes={"N": (1,), "T": (1, 4, PLACES)},
    preprocessing=TextInput(("<pad>", "<unknown>", "a"), PLACES),
    postprocessing=TextOutput(("<pad>", "<unknown>", "a"), 2, PLACES),
    states={"place_next": "place"},
)


def counter(path: Path) -> Path:
    """tokens (N, T), place (N, 1) -> a number for each token, and the place after them; no place after the last."""
    table = numpy_helper.from_array(np.arange(PLACES), "table")
    nodes = [
        helper.make_node("Gather", ["table", "place"], ["known"]),
        helper.make_node("Add", ["tokens", "known"], ["logits"]),
        helper.make_node("Shape", ["tokens"], ["size"], start=1, end=2),
        helper.make_node("Add", ["place", "size"], ["place_next"]),
    ]
    kind = TensorProto.INT64
    inputs = [onnx_files.tensor("tokens", ["N", "T"], kind), onnx_files.tensor("place", ["N", 1], kind)]
    outputs = [onnx_files.tensor("logits", ["N", "T"], kind), onnx_files.tensor("place_next", ["N", 1], kind)]
    onnx.save(onnx_files.model(nodes, inputs, outputs, [table]), str(path))
    return path


def opened(spec: ModelSpec, inputs: Feed, files: dict[str, Path]) -> Opened:
    """A decoder with an artifact in each of these files, and samples without references."""
    artifacts = []
    for recipe, path in files.items():
        digest = sha256_file(path)
        given = spec.inputs, spec.outputs
        artifacts.append(
            Artifact(recipe, path.name, path.suffix[1:], "float32", path.stat().st_size, digest, digest, *given)
        )
    return Opened(Path("decoder"), spec, tuple(artifacts), files, Samples(inputs), None)


def counted(folder: Path) -> Opened:
    """The counter with one sample of twelve tokens."""
    tokens = np.arange(100, 100 + PLACES)[None]
    return opened(COUNTER, {"tokens": tokens, "place": np.zeros((1, 1), np.int64)}, {"net": counter(folder / "n.onnx")})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, Profiled]:
    """A decoder in both formats, and what is measured of it here."""
    folder = tmp_path_factory.mktemp("writer")
    torch.manual_seed(0)
    tokens = np.random.default_rng(0).integers(4, len(writer.WORDS), (2, writer.PREFILL))
    feed, files = {"tokens": tokens, **writer.empty(2)}, {"onnx-fp32": folder / "w.onnx", "tflite": folder / "w.tflite"}
    spec = msgspec.structs.replace(writer.SPEC, sizes={"N": (1,), "T": (1, writer.PREFILL)})
    OnnxExporter().export(writer.Writer().eval(), spec, feed, files["onnx-fp32"])
    TfliteExporter().export(writer.Writer().eval(), spec, feed, files["tflite"])
    found = opened(spec, feed, files)
    return found, measure(found, [LOCAL], found.artifacts, Rounds(5, time_limit_s=0.01), Silent())


def report_of(written: tuple[Opened, Profiled]) -> Report:
    found, profiled = written
    report = Report(command="profile", created="", artifacts=found.artifacts)
    return msgspec.structs.replace(report, measurements=tuple(profiled.measurements), latency=tuple(profiled.latency))


# torch and its converters warn of themselves.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_both_phases_are_timed_in_both_backends(written: tuple[Opened, Profiled]) -> None:
    _, profiled = written

    rows = [(one.artifact, one.phase, one.sizes["T"], one.tokens) for one in profiled.measurements]
    assert rows == [
        (name, *phase) for name in ("onnx-fp32", "tflite") for phase in (("decode", 1, 1), ("prefill", 4, 4))
    ]
    assert {one.backend for one in profiled.latency} == {"onnxruntime", "litert"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_the_rate_is_the_tokens_of_a_call_by_the_median_of_its_launches(written: tuple[Opened, Profiled]) -> None:
    _, profiled = written

    for one, row in zip(profiled.measurements, profiled.latency, strict=True):
        latency, rate = row.quantiles["p50"], row.token_rate
        medians = [median(launch.values) for launch in one.counted]
        assert min(medians) <= (latency.value or 0.0) <= max(medians)
        assert (rate.value, rate.low, rate.high) == tuple(
            None if time is None else (one.tokens or 0) / time for time in (latency.value, latency.high, latency.low)
        )
        assert rate.n == latency.n


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("decode_rate >= 0.001 /s", Verdict.PASS),
        ("decode_rate >= 1e12 /s", Verdict.FAIL),
        ("prefill_rate >= 0.001", Verdict.PASS),
        ("prefill_rate >= 1e12", Verdict.FAIL),
        ("first_token.p50 <= 1000 s", Verdict.PASS),
        ("first_token.p50 <= 1 ns", Verdict.FAIL),
    ],
)
def test_budgets_are_judged_on_the_phase_that_they_are_about(
    text: str, verdict: Verdict, written: tuple[Opened, Profiled]
) -> None:
    report = report_of(written)

    checks = judge_budgets(parse_budgets(text, [LOCAL], []), [LOCAL], report)

    phase = "decode" if text.startswith("decode") else "prefill"
    own = [one for one in report.latency if one.phase == phase]
    figures = [row.token_rate if "_rate" in text else row.quantiles["p50"] for row in own]
    assert [one.verdict for one in checks] == [verdict, verdict]
    assert [one.estimate for one in checks] == figures


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_every_rendering_names_the_phase_and_its_rate(written: tuple[Opened, Profiled]) -> None:
    report, printed = report_of(written), io.StringIO()

    render(report, Console(file=printed, width=80))
    page = render_html(report)

    for row in report.latency:
        assert f"{row.phase} at N=1, T={row.sizes['T']}" in printed.getvalue()
        assert f"{rate(row.token_rate)} tokens/s" in printed.getvalue()
        assert f"{row.artifact}, {row.phase}</th>" in page
    assert "tokens per second" in page


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_reports_are_compared_phase_by_phase_and_old_ones_are_still_read(written: tuple[Opened, Profiled]) -> None:
    report = report_of(written)
    old = json.loads(msgspec.json.encode(report)) | {"schema_version": 4}
    for row in [*old["measurements"], *old["latency"]]:
        for name in ("phase", "tokens", "token_rate"):
            row.pop(name, None)

    before = documents.decode(json.dumps(old).encode(), Report, what="A report", newest=REPORT_SCHEMA)
    compared = compare_reports(report, report, 0.01)

    assert {(one.phase, one.tokens) for one in before.measurements} == {("", None)}
    assert [one.launches for one in before.measurements] == [one.launches for one in report.measurements]
    assert [(one.a, one.sizes["T"]) for one in compared] == [
        (one.artifact, one.sizes["T"]) for one in report.measurements
    ]


def test_every_call_begins_with_the_cache_after_the_prompt(tmp_path: Path) -> None:
    found = counted(tmp_path)
    with open_session(found, found.artifacts[0], LOCAL) as session:
        prompt = session.run({"tokens": found.samples.inputs["tokens"][:, :4], "place": np.zeros((1, 1), np.int64)})

    decode, prefill = (
        read_arrays(write_feeds(found, tmp_path, count=1, phase=phase), UserError) for phase in ("decode", "prefill")
    )
    # The net has no place for a thirteenth token: calls that continued would fail.
    profiled = measure(found, [LOCAL], found.artifacts, Rounds(1, time_limit_s=0.001), Silent())

    assert prompt["place_next"].tolist() == decode["0:place"].tolist() == [[4]]
    assert decode["0:tokens"].tolist() == [[104]]
    assert (prefill["0:tokens"].tolist(), prefill["0:place"].tolist()) == ([[100, 101, 102, 103]], [[0]])
    assert all(len(one.launches[0].values) >= 30 for one in profiled.measurements)
    assert (profiled.missing, len(profiled.measurements)) == ([], 2)


def test_the_runner_of_devices_begins_every_call_with_it_as_well(tmp_path: Path) -> None:
    found = counted(tmp_path)
    feeds = write_feeds(found, tmp_path, count=1, phase="decode")
    job = job_for(found, found.artifacts[0], LOCAL, feeds, str(tmp_path / "o.npz"), 0.0)
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(job))

    ran = subprocess.run(
        [sys.executable, str(PYTHON_RUNNER), str(tmp_path / "job.json")], capture_output=True, check=True
    )

    assert len(json.loads(ran.stdout)["values"]) >= 30
    assert read_arrays(tmp_path / "o.npz", UserError)["0:place_next"].tolist() == [[5]]


@pytest.mark.parametrize(
    ("sizes", "length", "prompt"), [((1, 4, 12), 12, 4), ((1, 4, 8), 12, 8), ((1, 12), 12, 12), ((1,), 12, 0)]
)
def test_the_timed_prompt_leaves_room_in_the_cache(sizes: tuple[int, ...], length: int, prompt: int) -> None:
    spec = msgspec.structs.replace(COUNTER, sizes={"T": sizes}, preprocessing=TextInput(("a", "b"), length))

    assert prompt_size(spec) == prompt
    assert phases_of(spec) == (("decode", "prefill") if prompt else ("decode",))
    assert list(places_of(spec, "decode")) == [prompt]


def test_other_models_have_no_phases() -> None:
    assert phases_of(msgspec.structs.replace(COUNTER, states={})) == ("",)
    assert phases_of(msgspec.structs.replace(COUNTER, postprocessing=None)) == ("",)
    assert phases_of(msgspec.structs.replace(COUNTER, sizes={"T": (2, 4)})) == ("",)


def test_a_latency_that_is_bounded_on_one_side_bounds_the_rate_on_the_other() -> None:
    assert token_rate(Estimate(0.5, 0.25, 1.0, 6), 4) == Estimate(8.0, 4.0, 16.0, 6)
    assert token_rate(Estimate(None, low=0.5, n=6, reason="drift"), 4) == Estimate(None, None, 8.0, 6, "drift")
    assert token_rate(Estimate(0.5), None).value is None


@pytest.mark.parametrize("text", ["decode_rate >= 1 /s", "prefill_rate >= 1 /s", "first_token.p50 <= 1 s"])
def test_an_emulated_device_and_another_model_have_no_rate(text: str) -> None:
    launches = tuple(Launch(place, (0.5,) * 30) for place in range(6))
    other = Measurement("local", "net", "latency", "s", launches, {"T": 4})
    decoder = tuple(
        msgspec.structs.replace(other, emulated=True, phase=phase, tokens=4) for phase in ("decode", "prefill")
    )
    artifact = Artifact("net", "n.onnx", "onnx", "float32", 1, "", "", (), ())
    reports = [
        Report(command="", created="", artifacts=(artifact,), measurements=measured) for measured in (decoder, (other,))
    ]

    emulated, unphased = (judge_budgets(parse_budgets(text, [LOCAL], []), [LOCAL], one)[0] for one in reports)

    assert (emulated.verdict, emulated.estimate.reason) == (
        Verdict.INCONCLUSIVE,
        "emulated: not the latency of a device",
    )
    assert unphased.verdict is Verdict.INCONCLUSIVE
    assert "that was measured" in unphased.estimate.reason
