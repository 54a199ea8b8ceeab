"""`profile` from end to end on real engines: batches, operators, causes, plans."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import helper
from tests.flows import onnx_files
from tests.flows.scripted import fake_model
from tests.runtime.data.make import FLOAT32, Tflite
from tests.runtime.tflite_files import convolutions

from edgekit.core.errors import UserError
from edgekit.flows.profile import profile, profile_order

DATA = Path(__file__).parent.parent / "runtime" / "data"
LINEAR = DATA / "linear.onnx"


def test_each_batch_has_a_row_with_its_throughput() -> None:
    report = profile(LINEAR, batch=(8, 1), launches=5, time_limit_s=0.02)

    assert [one.sizes for one in report.latency] == [{"N": 1}, {"N": 8}]
    for row, measurement in zip(report.latency, report.measurements, strict=True):
        assert measurement.sizes == row.sizes
        median = row.quantiles["p50"].value
        assert median is not None
        assert row.throughput.value == pytest.approx(row.sizes["N"] / median)


def test_operators_are_timed_in_a_launch_of_their_own() -> None:
    report = profile(LINEAR, operators=True, launches=1, time_limit_s=0.01)

    (found,) = report.operators
    assert (found.artifact, found.sizes) == ("linear", {"N": 1})
    assert {one.kind for one in found.times} & {"Gemm", "MatMul", "FusedGemm"}
    assert len(report.measurements[0].launches) == 1


def test_operators_of_a_tflite_file_are_timed_and_compared_with_the_latency(tmp_path: Path) -> None:
    report = profile(convolutions(tmp_path / "a.tflite", 1, 8), operators=True, launches=5, time_limit_s=0.02)

    (found,) = report.operators
    assert [(one.name, one.kind) for one in found.times] == [("layer0", "CONV_2D"), ("act0", "LOGISTIC")]
    share = found.share_of_median(report.latency)
    assert share is not None
    assert any("of its median latency together" in text for text in report.warnings) == (abs(share - 1) > 0.3)


def test_an_engine_without_operator_times_says_so(tmp_path: Path) -> None:
    report = profile(fake_model(tmp_path / "a.fake.json"), operators=True, launches=1, time_limit_s=0.01)

    assert any("No operator times of a.fake on local: fake 1" in text for text in report.warnings)


def test_a_model_without_a_free_batch_axis_has_no_batches(tmp_path: Path) -> None:
    path = fake_model(tmp_path / "a.fake.json")
    path.write_text(path.read_text().replace('["N", 2]', "[1, 2]"))

    with pytest.raises(UserError, match="has no dynamic batch axis"):
        profile(path, batch=(1, 8))


Shape = tuple[int | str, ...]
NO_COMMON_BATCH: dict[str, dict[str, Shape]] = {
    "other sizes": {"a": (2, 8), "b": (3, 8)},
    "other names": {"a": ("A", 8), "b": ("B", 8)},
    "one without a batch": {"a": ("N", 8), "b": (8,)},
    "a number": {"a": ("N", 8), "b": ()},
    "no batch": {"a": (8,)},
    "numbers alone": {"a": (), "b": ()},
    "one": {"a": (1, 8)},
}


def onnx_of(path: Path, shapes: dict[str, Shape]) -> Path:
    nodes = [helper.make_node("Sigmoid", [name], [f"of_{name}"]) for name in shapes]
    inputs = [onnx_files.tensor(name, list(shape)) for name, shape in shapes.items()]
    outputs = [onnx_files.tensor(f"of_{name}", list(shape)) for name, shape in shapes.items()]
    onnx.save(onnx_files.model(nodes, inputs, outputs), str(path))
    return path


def tflite_of(path: Path, shapes: dict[str, Shape]) -> Path:
    tflite = Tflite()
    tensors = {f"{side}{name}": (FLOAT32, shape) for name, shape in shapes.items() for side in ("", "of_")}
    logistic = schema.BuiltinOperator.LOGISTIC
    operators = [(logistic, [name], [f"of_{name}"], schema.AddOptionsT()) for name in shapes]
    tflite.subgraph(tensors, operators, list(shapes), [f"of_{name}" for name in shapes], "serving_default")
    path.write_bytes(tflite.bytes())
    return path


@pytest.mark.parametrize("name", NO_COMMON_BATCH)
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_networks_without_a_common_batch_are_profiled(tmp_path: Path, suffix: str, name: str) -> None:
    shapes = NO_COMMON_BATCH[name]
    if suffix == ".tflite":
        fixed = {one: tuple(1 if isinstance(axis, str) else axis for axis in shape) for one, shape in shapes.items()}
        file = tflite_of(tmp_path / "a.tflite", dict(fixed))
    else:
        file = onnx_of(tmp_path / "a.onnx", shapes)

    report = profile(file, operators=True, launches=1, time_limit_s=0.01)

    assert [len(one.launches) for one in report.measurements] == [1]
    assert [len(one.times) for one in report.operators] == [len(shapes)]


@pytest.mark.parametrize(("name", "hint"), [
    ("other sizes", "--batch 1"),
    ("other names", "edgekit profile {} --sizes A=8 --sizes B=8"),
    ("a number", "edgekit profile {} --sizes N=8"),
    ("no batch", "--batch 1"),
    ("one", "--batch 1, or make a file with one: edgekit export SOURCE --sizes N=1,8 --out BUNDLE"),
])  # fmt: skip
def test_a_larger_batch_is_refused_with_what_the_file_allows(tmp_path: Path, name: str, hint: str) -> None:
    # A file with dynamic axes, or with inputs of different sizes, was told to export one with a batch.
    file = onnx_of(tmp_path / "a.onnx", NO_COMMON_BATCH[name])

    with pytest.raises(UserError, match="has no dynamic batch axis") as raised:
        profile(file, batch=(1, 8))

    assert raised.value.hint == hint.format(file)
    if "--sizes A" in hint or "--sizes N=8" in hint:
        sizes = [word for word in hint.split() if "=" in word]
        report = profile(file, sizes=sizes, launches=1, time_limit_s=0.01)
        assert set(report.measurements[0].sizes.values()) == {8}


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="batch: expected sizes of at least 1"):
        profile(LINEAR, batch=(0,))


def test_the_plan_says_when_it_ends() -> None:
    with profile_order(LINEAR, precision=0.01, time_box_s=30.0, batch=(1, 8), operators=True) as order:
        steps = order.steps()

    assert steps[0] == (
        "measure 'linear' on local: 6 fresh processes, interleaved, each timed for 0.1 s after warm-up; "
        "more, for at most 30 s, until the median is known to ±1 %"
    )
    assert [("batch 8" in step) for step in steps] == [False, True, False]


def test_facts_are_read_again_after_the_last_launch() -> None:
    report = profile(LINEAR, launches=1, time_limit_s=0.01)

    assert report.facts_after.keys() == report.facts.keys() == {"local"}
    assert report.facts_after["local"].cpu == report.facts["local"].cpu
