"""Causes that were planted are named, healthy reports have nothing to explain, and nothing is guessed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.cli.program import program
from edgekit.core.bundle import Artifact, Signature
from edgekit.core.errors import Unreadable, UserError
from edgekit.core.facts import Facts
from edgekit.core.job import OperatorTime
from edgekit.core.measurement import Launch, Measurement, Trust
from edgekit.core.reports.check import CheckReport
from edgekit.core.reports.explain import Cause, CauseGroup, CausePlace, grouped
from edgekit.core.reports.report import REPORT_SCHEMA, BudgetCheck, Estimate, Latency, Operators, Report
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system import documents
from edgekit.core.verdict import Verdict
from edgekit.flows.explain import explain
from edgekit.flows.judging import causes
from edgekit.flows.judging.islands import read_quantized
from edgekit.flows.measuring.summary import quantiles
from edgekit.flows.profile import profile

FLOAT, INT8 = "onnx-fp32", "onnx-int8-static-u8s8"
X86 = Facts(architecture="x86_64", features=("x86_64", "avx2", "avx512_vnni"), cpu="x", cores=2, load=0.1)
NONE = Estimate(None, reason="not reported")


def launch(
    order: int, value: float, *, load_s: float = 5e-3, notes: tuple[str, ...] = (), disturbed: bool = False
) -> Launch:
    return Launch(order, (value * (1 + 0.002 * order),) * 40, (), load_s, value * 5, disturbed=disturbed, notes=notes)


def launches(value: float = 1e-3, **first: Any) -> tuple[Launch, ...]:
    return (launch(0, value, **first), *(launch(order, value) for order in range(1, 6)))


def measured(
    artifact: str, target: str = "local", runs: Sequence[Launch] = (), *, provider: str = "cpu", sizes: int = 1
) -> tuple[Measurement, Latency]:
    found = Measurement(target, artifact, "latency", "s", tuple(runs or launches()), {"N": sizes})
    first = Estimate(found.launches[1].first_run_s)
    return found, Latency(
        target, artifact, {"N": sizes}, quantiles(found), NONE, first, NONE, Trust("A"), provider=provider
    )


def artifact(recipe: str, *, batch: int | str = "N", signatures: tuple[Signature, ...] = ()) -> Artifact:
    kind, precision = recipe.split("-")[:2]
    tensor = TensorSpec("x", "float32", (batch, 2))
    return Artifact(
        recipe, f"{recipe}.{kind}", kind, precision, 10, "0" * 64, "1" * 64, (tensor,), (), signatures=signatures
    )


def written(
    folder: Path,
    *pairs: tuple[Measurement, Latency],
    facts: Facts = X86,
    artifacts: Sequence[Artifact] = (),
    name: str = "report.json",
    **changes: Any,
) -> Path:
    report = Report(
        command="profile",
        created="now",
        bundle="gone",
        artifacts=tuple(artifacts),
        measurements=tuple(one for one, _ in pairs),
        latency=tuple(one for _, one in pairs),
        facts={one.target: facts for one, _ in pairs},
    )
    documents.write(folder / name, msgspec.structs.replace(report, **changes))
    return folder / name


def missed(name: str, target: str = "local") -> BudgetCheck:
    figure = Estimate(1e-3, 0.99e-3, 1.01e-3, 6)
    return BudgetCheck("latency.p50 <= 0.5 ms", name, target, "latency", "s", 5e-4, figure, Verdict.FAIL, 5e-4)


def conv_net(path: Path, *, middle: str = "Relu", signed: bool = False) -> Path:
    """Three 3x3 convolutions, quantized by onnxruntime's own tool; `middle` stands behind the second, else ReLU."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for place in range(3):
        weight = rng.normal(size=(8, 3 if place == 0 else 8, 3, 3)).astype(np.float32) / 5
        weights.append(numpy_helper.from_array(weight, f"w{place}"))
        nodes.append(helper.make_node("Conv", [last, f"w{place}"], [f"c{place}"], f"conv{place}", pads=[1] * 4))
        last = f"r{place}"
        nodes.append(helper.make_node(middle if place == 1 else "Relu", [f"c{place}"], [last], f"act{place}"))
    shape = [1, 3, 8, 8]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, 8, 8, 8])
    graph = helper.make_graph(nodes, "net", [x], [y], weights)
    plain = path.with_name("plain.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), plain)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = [{"x": rng.normal(size=shape).astype(np.float32)} for _ in range(4)]

        def get_next(self) -> dict[str, Any] | None:
            return self.left.pop() if self.left else None

    quantize_static(
        plain,
        path,
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return path


def names(path: Path, other: Path | None = None) -> set[str]:
    found = explain(path, other)
    assert found.unexplained == ()
    for cause in found.causes:
        assert cause.evidence
        assert_command(cause)
    return {cause.name for cause in found.causes}


def assert_command(cause: Cause) -> None:
    """The command that tests a cause is one that parses."""
    words = shlex.split(cause.command)
    assert words[0] == "edgekit"
    import click

    command = program.get_command(click.Context(program), words[1])
    assert command is not None
    command.make_context(words[1], words[2:])


def test_a_provider_that_was_not_used_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, measured(FLOAT, "local@provider=cuda", provider="cpu"))

    assert names(path) == {"provider"}


def test_operators_that_ran_elsewhere_are_counted(tmp_path: Path) -> None:
    note = "cuda ran 3 of 10 nodes, 55 % of the node time"
    path = written(tmp_path, measured(FLOAT, "local@provider=cuda", launches(notes=(note,)), provider="cuda"))

    assert names(path) == {"provider"}
    assert explain(path).causes[0].says.startswith("7 operators")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # onnxruntime's quantizer warns of its own calls
def test_one_operator_left_float_between_int8_ones_is_named_in_a_real_graph(tmp_path: Path) -> None:
    model = conv_net(tmp_path / "net.onnx", middle="Elu")  # no int8 kernel of ONNX Runtime computes it
    report = profile(model, launches=5, time_limit_s=0.01)
    documents.write(tmp_path / "report.json", report)

    (cause,) = (one for one in explain(tmp_path / "report.json").causes if one.name == "float island")

    assert cause.evidence[0].endswith(": 1 Elu")
    assert_command(cause)


@pytest.mark.filterwarnings("ignore")
def test_a_net_that_is_quantized_throughout_has_no_island(tmp_path: Path) -> None:
    whole = read_quantized(conv_net(tmp_path / "whole.onnx"))
    signed = read_quantized(conv_net(tmp_path / "signed.onnx", signed=True))

    assert (whole.islands, whole.borders, whole.signed_activations) == ((), 0, False)
    assert signed.signed_activations


@pytest.mark.filterwarnings("ignore")
def test_signed_activations_on_x86_are_named_from_the_file(tmp_path: Path) -> None:
    model = conv_net(tmp_path / "net.onnx", signed=True)
    made = artifact("onnx-int8-static-s8s8")
    bare = msgspec.structs.replace(made, recipe="net", file="net.onnx", precision="")
    path = written(tmp_path, measured("net"), artifacts=[bare], bundle=str(model))

    assert names(path) == {"signed activations on x86"}


def test_signed_activations_on_x86_are_named_from_the_recipe(tmp_path: Path) -> None:
    recipe = "onnx-int8-static-s8s8"

    assert names(written(tmp_path, measured(recipe), artifacts=[artifact(recipe)])) == {"signed activations on x86"}
    arm = Facts(architecture="aarch64", features=("aarch64", "asimddp"), cpu="a", cores=4, load=0.1)
    assert names(written(tmp_path, measured(recipe), facts=arm)) == set()


def test_one_thread_instead_of_two_is_named_within_a_report(tmp_path: Path) -> None:
    slow, fast = measured(FLOAT, "local@threads=1"), measured(FLOAT, "local@threads=2", launches(0.6e-3))

    assert names(written(tmp_path, slow, fast)) == {"threads"}


def test_one_thread_instead_of_two_is_named_between_reports(tmp_path: Path) -> None:
    slow = written(tmp_path, measured(FLOAT), name="slow.json")
    fast = written(tmp_path, measured(FLOAT, "local@threads=2", launches(0.6e-3)), name="fast.json")

    assert names(slow, fast) == names(fast, slow) == {"threads"}


def test_a_missed_budget_on_one_of_two_cores_is_named(tmp_path: Path) -> None:
    assert names(written(tmp_path, measured(FLOAT), budgets=(missed(FLOAT),))) == {"threads"}


def test_a_cold_file_cache_is_named(tmp_path: Path) -> None:
    assert names(written(tmp_path, measured(FLOAT, runs=launches(load_s=80e-3)))) == {"cold file cache"}


def test_a_busy_neighbour_is_named_by_the_scheduler_and_by_the_load(tmp_path: Path) -> None:
    note = "0.40 involuntary context switches per call"
    runs = tuple(launch(order, 1e-3, disturbed=order < 3, notes=(note,) if order < 3 else ()) for order in range(6))
    loaded = msgspec.structs.replace(X86, load=2.4)

    assert names(written(tmp_path, measured(FLOAT, runs=runs))) == {"busy neighbour"}
    assert names(written(tmp_path, measured(FLOAT), facts=loaded)) == {"busy neighbour"}


@pytest.mark.parametrize(
    "made",
    [
        artifact("onnx-fp32", batch=1),
        artifact("tflite-fp32", signatures=(Signature("serving_default", {"N": 1}),)),
    ],
    ids=lambda one: one.format,
)
def test_a_fixed_batch_is_named(tmp_path: Path, made: Artifact) -> None:
    assert names(written(tmp_path, measured(made.recipe, sizes=8), artifacts=[made])) == {"fixed batch"}


def test_int8_without_products_of_bytes_is_named_where_it_is_not_faster(tmp_path: Path) -> None:
    old = msgspec.structs.replace(X86, features=("x86_64", "avx2"))
    path = written(tmp_path, measured(FLOAT), measured(INT8, runs=launches(1.1e-3)), facts=old)

    assert names(path) == {"no dot product"}


def test_layers_that_are_too_small_are_named_where_int8_is_not_faster(tmp_path: Path) -> None:
    def times(artifact: str, count: int) -> Operators:
        return Operators(
            "local", artifact, {"N": 1}, tuple(OperatorTime(f"{n}", "Conv", "cpu", 1e-6) for n in range(count))
        )

    pairs = measured(FLOAT, runs=launches(8e-6)), measured(INT8, runs=launches(10e-6))
    small, large = times(INT8, 10), times(INT8, 2)

    assert names(written(tmp_path, *pairs, operators=(times(FLOAT, 7), small))) == {"layers too small"}
    assert explain(written(tmp_path, *pairs, operators=(large,))).causes == ()


def test_int8_is_held_against_float_at_the_same_batch(tmp_path: Path) -> None:
    pairs = measured(FLOAT), measured(INT8, runs=launches(3e-3), sizes=8), measured(FLOAT, runs=launches(4e-3), sizes=8)

    found = explain(written(tmp_path, *pairs))

    assert (found.causes, found.unexplained) == ((), ())


HEALTHY = {
    "float": (measured(FLOAT),),
    "int8 that is faster": (measured(FLOAT), measured(INT8, runs=launches(0.6e-3))),
    "two targets": (measured(FLOAT), measured(FLOAT, "local@threads=2", launches(0.97e-3))),
    "batch of eight": (measured(FLOAT, sizes=8),),
    "a provider that took everything": (
        measured(
            FLOAT,
            "local@provider=cuda",
            launches(notes=("cuda ran 10 of 10 nodes, 100 % of the node time",)),
            provider="cuda",
        ),
    ),
}


@pytest.mark.parametrize("pairs", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_report_has_nothing_to_explain(
    tmp_path: Path, pairs: tuple[tuple[Measurement, Latency], ...]
) -> None:
    found = explain(written(tmp_path, *pairs, artifacts=[artifact(FLOAT)]))

    assert (found.causes, found.unexplained) == ((), ())


def test_what_has_no_cause_is_not_explained(tmp_path: Path) -> None:
    slow_int8 = explain(written(tmp_path, measured(FLOAT), measured(INT8, runs=launches(1.1e-3))))
    one_core = msgspec.structs.replace(X86, cores=1)
    budget = explain(written(tmp_path, measured(FLOAT), facts=one_core, budgets=(missed(FLOAT),)))
    modes = explain(written(tmp_path, measured(FLOAT, runs=(launch(0, 2e-3), *launches()))))
    a, b = (written(tmp_path, measured(FLOAT, runs=launches(value)), name=f"{value}.json") for value in (1e-3, 2e-3))

    assert "not faster than float32" in slow_int8.unexplained[0]
    assert "is missed by" in budget.unexplained[0]
    assert "the launches of" in modes.unexplained[0]
    assert "in one report and" in explain(a, b).unexplained[0]
    assert slow_int8.causes == budget.causes == modes.causes == ()


def test_a_bundle_that_is_gone_is_told(tmp_path: Path) -> None:
    found = explain(written(tmp_path, measured(INT8), artifacts=[artifact(INT8)]))

    assert found.unseen == (f"the operators of '{INT8}': 'gone' does not exist",)


def test_machines_that_differ_are_named_with_their_facts(tmp_path: Path) -> None:
    slow = written(tmp_path, measured(FLOAT), facts=msgspec.structs.replace(X86, governor="powersave"), name="a.json")
    fast = written(tmp_path, measured(FLOAT, runs=launches(0.5e-3)), name="b.json")

    found = explain(slow, fast)

    assert found.causes[0].evidence == ("governor: powersave where it is slow, None where it is fast",)


def test_reports_of_other_artifacts_are_refused(tmp_path: Path) -> None:
    one, other = written(tmp_path, measured(FLOAT)), written(tmp_path, measured(INT8), name="b.json")

    with pytest.raises(UserError, match="no artifact in common"):
        explain(one, other)


def test_every_cause_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "explain.md").read_text(encoding="utf-8")
    known = {value for name, value in vars(causes).items() if name.isupper() and isinstance(value, str)}

    assert len(known) == 9
    assert not [name for name in known if f"| {name} |" not in page]


def test_the_reports_of_a_check_are_explained_too(tmp_path: Path) -> None:
    path = written(tmp_path, measured(FLOAT, runs=launches(load_s=80e-3)))
    report = documents.read(path, Report, newest=REPORT_SCHEMA)
    checked = CheckReport(
        created="", config="", commit="", policy="pass", results=(), verdict=Verdict.PASS, reports=(report,)
    )
    documents.write(tmp_path / "check.json", checked)

    assert names(tmp_path / "check.json") == {"cold file cache"}


def test_another_document_is_named(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"command": "compare", "schema_version": 1}')

    with pytest.raises(Unreadable, match="a document of 'compare', not a report"):
        explain(tmp_path / "plan.json")


def test_a_cause_of_several_artifacts_is_told_once() -> None:
    one = Cause("busy neighbour", "a", "local", "says", ("seen",), "command")
    again, other = msgspec.structs.replace(one, artifact="b"), msgspec.structs.replace(one, target="pi")

    assert grouped((one, other, again)) == (
        CauseGroup(
            "busy neighbour",
            "says",
            (CausePlace(("a", "b"), "local", ("seen",)), CausePlace(("a",), "pi", ("seen",))),
            ("command",),
        ),
    )
