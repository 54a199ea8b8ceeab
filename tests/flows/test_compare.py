"""Comparing: real launches where the difference is several-fold, the fake device and made reports for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from tests.flows import onnx_files
from tests.flows.onnx_files import dense
from tests.flows.scripted import fake_model

from edgekit.core.errors import UserError
from edgekit.core.facts import Facts
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.reports.report import Report
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system import documents
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.compare import compare, compare_order
from edgekit.flows.export import export
from edgekit.flows.measuring.file_differences import file_differences
from edgekit.flows.measuring.sides import names_in, refuse_other, refuse_other_inputs, side_of
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.opening.source import SourceOptions
from edgekit.report.comparison import file_lines

# For files that are compared by what they answer: few pairs exclude that one takes nearly twice as long.
ROUGH = Settings(minimum_effect=0.9)


def report(path: Path, latency_s: float, *, artifact: str = "onnx-fp32", spread: float = 0.002, **changes: Any) -> str:
    launches = tuple(Launch(order, (latency_s * (1 + spread * order),) * 40) for order in range(8))
    measurement = Measurement("local", artifact, "latency", "s", launches, {"N": 1})
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 2)),), ())
    facts = {"local": Facts(cpu="one", architecture="x86_64", governor="performance")}
    made = Report(command="profile", created="now", spec=spec, measurements=(measurement,), facts=facts)
    documents.write(path, msgspec.structs.replace(made, **changes))
    return str(path)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    return fake_model(tmp_path / "slow.fake.json", delay_s=4e-3)


@pytest.fixture
def fast(tmp_path: Path) -> Path:
    return fake_model(tmp_path / "fast.fake.json", delay_s=5e-4)


@pytest.mark.slow
def test_real_launches_of_a_model_that_is_several_times_slower(slow: Path, fast: Path) -> None:
    found = compare(fast, slow, launches=5, time_limit_s=0.02)

    assert found.verdict is Verdict.FAIL
    assert found.pairs[0].says == "slower"
    assert found.pairs[0].ratio.value is not None
    assert found.pairs[0].ratio.value > 2
    assert {one.artifact for one in found.measurements} == {"slow.fake", "fast.fake"}
    assert compare(slow, fast, launches=5, time_limit_s=0.02).verdict is Verdict.PASS


def test_a_model_is_as_fast_as_itself(slow: Path) -> None:
    found = compare(slow, slow, target="fake")

    assert (found.verdict, found.pairs[0].says) == (Verdict.PASS, "equal")


def test_an_effect_that_is_too_small_to_count_is_no_failure(slow: Path, fast: Path) -> None:
    found = compare(slow, fast, target="fake", settings=Settings(minimum_effect=1.0))

    assert found.verdict is Verdict.PASS


def test_a_plan_names_what_would_be_measured(slow: Path, fast: Path) -> None:
    with compare_order(fast, slow, target="fake,local") as order:
        steps = order.steps()

    assert len(steps) == 2
    assert "8 pairs" in steps[0]


def test_other_inputs_are_refused(slow: Path, tmp_path: Path) -> None:
    other = dense(tmp_path / "other.onnx")

    with pytest.raises(UserError, match=r"inputs differ: x:float32\[N,2\] and x:float32\[batch,8\]"):
        compare(slow, other, target="fake")


@pytest.mark.parametrize(
    ("latency_s", "says", "verdict"),
    [(1.2e-3, "slower", Verdict.FAIL), (1e-3, "equal", Verdict.PASS), (0.8e-3, "faster", Verdict.PASS)],
)
def test_two_reports_are_compared_by_launch(tmp_path: Path, latency_s: float, says: str, verdict: Verdict) -> None:
    found = compare(report(tmp_path / "a.json", 1e-3), report(tmp_path / "b.json", latency_s))

    assert (found.pairs[0].says, found.verdict) == (says, verdict)
    assert found.pairs[0].p_value is not None


def test_reports_that_are_too_noisy_are_inconclusive_and_say_what_could_be_seen(tmp_path: Path) -> None:
    found = compare(report(tmp_path / "a.json", 1e-3, spread=0.1), report(tmp_path / "b.json", 1e-3, spread=0.1))

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.pairs[0].detectable is not None
    assert found.pairs[0].detectable > 0.03


def test_facts_that_differ_are_listed(tmp_path: Path) -> None:
    there = {"local": Facts(cpu="one", architecture="x86_64", governor="powersave")}

    found = compare(report(tmp_path / "a.json", 1e-3), report(tmp_path / "b.json", 1e-3, facts=there))

    assert found.pairs[0].differing == ("governor: performance and powersave",)


def test_two_lone_measurements_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    other = report(tmp_path / "b.json", 1e-3, artifact="onnx-int8-static-u8s8")

    found = compare(report(tmp_path / "a.json", 1e-3), other)

    assert (found.pairs[0].a, found.pairs[0].b) == ("onnx-fp32", "onnx-int8-static-u8s8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"facts": {"local": Facts(cpu="two", architecture="x86_64")}}, "devices differ: 'one' and 'two'"),
        ({"spec": ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 3)),), ())}, "inputs differ"),
        ({"measurements": ()}, "no target and artifact in common"),
        ({"measurements": (Measurement("local", "onnx-fp32", "latency", "cycles", ()),)}, "in cycles at"),
    ],
)
def test_reports_of_different_things_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(report(tmp_path / "a.json", 1e-3), report(tmp_path / "b.json", 1e-3, **changes))


def test_a_report_beside_an_artifact_is_refused(tmp_path: Path, slow: Path) -> None:
    with pytest.raises(UserError, match="only be compared with a report"):
        compare(report(tmp_path / "a.json", 1e-3), slow)


def test_two_files_are_compared_in_size_operators_and_outputs(tmp_path: Path) -> None:
    # One has a free batch, the other takes one sample; they were refused as different inputs.
    dense(tmp_path / "v1.onnx")
    dense(tmp_path / "v2.onnx", batch=1)

    with opened(tmp_path / "v1.onnx") as a, opened(tmp_path / "v2.onnx") as b:
        sides = side_of("v1.onnx", a), side_of("v2.onnx", b)
        refuse_other_inputs(*sides)
        found = file_differences(*sides)

    assert (found.size_a_bytes, found.size_b_bytes) == tuple(
        (tmp_path / name).stat().st_size for name in ("v1.onnx", "v2.onnx")
    )
    assert found.operators_a == found.operators_b == {"MatMul": 1, "Add": 1, "Relu": 1}
    assert (found.generated, found.reason) == (True, "")
    (output,) = found.outputs
    assert (output.output, output.largest, output.sqnr_db, output.samples) == ("y", 0.0, None, 8)


def test_outputs_that_differ_have_their_distance_and_others_a_reason(tmp_path: Path) -> None:
    def scaled(name: str, factor: float, width: int = 4) -> Path:
        weight = onnx.numpy_helper.from_array(np.full((8, width), factor, np.float32), "w")
        nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])]
        model = onnx_files.model(
            nodes, [onnx_files.tensor("x", ["N", 8])], [onnx_files.tensor("y", ["N", width])], [weight]
        )
        onnx.save(model, str(tmp_path / name))
        return tmp_path / name

    with (
        opened(scaled("one.onnx", 1.0)) as one,
        opened(scaled("near.onnx", 1.01)) as near,
        opened(scaled("wide.onnx", 1.0, 5)) as wide,
    ):
        a, b, c = (side_of("x", found) for found in (one, near, wide))
        close, apart = file_differences(a, b), file_differences(a, c)

    assert close.outputs[0].sqnr_db == pytest.approx(40.0, abs=0.01)  # 1 % of the signal
    assert apart.outputs == ()
    assert "has shape (1, 4) in A and (1, 5) in B" in apart.reason


@pytest.mark.parametrize(
    ("shape", "fits"), [((1, 2), True), (("batch", 2), True), ((8, 2), False), ((1, 3), False), ((1, 2, 1), False)]
)
def test_a_fixed_axis_takes_what_a_free_one_is_fed_with(shape: tuple[int | str, ...], fits: bool) -> None:
    free = ModelSpec("a", "other", (TensorSpec("x", "float32", ("N", 2)),), ())
    other = ModelSpec("b", "other", (TensorSpec("x", "float32", shape),), ())

    if fits:
        refuse_other(free, other)
    else:
        with pytest.raises(UserError, match="inputs differ"):
            refuse_other(free, other)


SOUND, FLAG = TensorSpec("sound", "float32", ("N", 9)), TensorSpec("flag", "int64", ("N", 1))


@pytest.mark.parametrize(
    ("own", "others", "names"),
    [
        ((SOUND,), (TensorSpec("args_0", "float32", (1, 9)),), {"sound": "args_0"}),
        (
            (SOUND, FLAG),
            (TensorSpec("args_0", "int64", (1, 1)), TensorSpec("args_1", "float32", (1, 9))),
            {"sound": "args_1", "flag": "args_0"},
        ),
        ((SOUND,), (TensorSpec("args_0", "float32", (1, 8)),), None),
        # Which of two like inputs is which, only names say.
        (
            (SOUND, TensorSpec("noise", "float32", ("N", 9))),
            (TensorSpec("args_0", "float32", (1, 9)), TensorSpec("args_1", "float32", (1, 9))),
            None,
        ),
        ((SOUND,), (TensorSpec("args_0", "float32", (1, 9)), TensorSpec("args_1", "int64", (1, 1))), None),
    ],
)
def test_inputs_that_a_converter_renamed_are_found_by_dtype_and_shape(
    own: tuple[TensorSpec, ...], others: tuple[TensorSpec, ...], names: dict[str, str] | None
) -> None:
    assert names_in(ModelSpec("b", "other", others, ()), ModelSpec("a", "other", own, ())) == names


@pytest.mark.slow
def test_files_with_other_names_and_a_fixed_batch_are_compared(tmp_path: Path) -> None:
    model = onnx.load(dense(tmp_path / "v1.onnx"))
    model.graph.node[0].input[0] = model.graph.input[0].name = "args_0"
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, str(tmp_path / "v2.onnx"))

    found = compare(tmp_path / "v1.onnx", tmp_path / "v2.onnx", launches=5, time_limit_s=0.01, settings=ROUGH)

    assert found.files is not None
    assert found.files.reason == ""
    assert found.files.outputs[0].largest == 0


@pytest.mark.slow
def test_formats_are_compared_at_batch_1(nets: Path, digit_samples: Path, tmp_path: Path) -> None:
    options = SourceOptions(samples=digit_samples, calibration=60)
    export(f"{nets}:small", to="onnx-fp32,tflite-fp32", out=tmp_path / "b", options=options)
    a, b = (tmp_path / "b" / name for name in ("onnx-fp32.onnx", "tflite-fp32.tflite"))

    found = compare(a, b, launches=5, time_limit_s=0.01, settings=ROUGH)

    assert found.files is not None
    assert found.files.outputs[0].sqnr_db is not None
    assert found.files.outputs[0].sqnr_db > 80
    assert found.files.outputs[0].top1 == 1.0
    assert f"output {found.files.outputs[0].output}: differs by at most" in "\n".join(file_lines(found.files))
