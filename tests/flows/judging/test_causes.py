"""What the causes of a time advise, and the evidence that they share with the trust."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.flows.test_explain import FLOAT, INT8, X86, artifact, launches, measured, written

from edgekit.core.job import OperatorTime
from edgekit.core.reports.report import EndToEnd, Operators
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.statistics.trust import grade
from edgekit.flows.explain import explain


def test_what_names_a_busy_neighbour_lowers_the_trust(tmp_path: Path) -> None:
    # A report once said trust B beside a busy neighbour: two judgements of the same launches.
    loaded = msgspec.structs.replace(X86, load=14.2)
    measurement, _ = measured(FLOAT)

    causes = explain(written(tmp_path, measured(FLOAT), facts=loaded)).causes
    (cause,) = (one for one in causes if one.name == "busy neighbour")

    assert set(cause.evidence) <= set(grade(measurement, loaded, loaded).reasons)
    assert cause.command == "edgekit profile gone --target local --launches 12"


def test_whole_calls_are_measured_again_as_such(tmp_path: Path) -> None:
    loaded = msgspec.structs.replace(X86, load=14.2)
    measurement, latency = measured(FLOAT)
    whole = EndToEnd({}, {}, {}, {})

    report = written(tmp_path, (measurement, msgspec.structs.replace(latency, end_to_end=whole)), facts=loaded)

    (cause,) = (one for one in explain(report).causes if one.name == "busy neighbour")
    assert cause.command == "edgekit profile gone --target local --end-to-end --launches 12"


@pytest.mark.parametrize(
    ("size", "bundle", "command"),
    [
        ("N", "b", "edgekit profile b --target local --batch 1,8 --operators"),
        (1, "b", f"edgekit export SOURCE --to {INT8} --sizes N=1,8 --out NEW"),
        (1, "net.tflite", "edgekit export SOURCE --sizes N=1,8 --out NEW"),
    ],
)
def test_a_larger_batch_is_advised_only_for_a_file_that_has_one(
    tmp_path: Path, size: int | str, bundle: str, command: str
) -> None:
    # `--batch 1,8` was printed for a .tflite with N=1 alone, where profile refuses it.
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", (size, 2)),), ())
    times = tuple(OperatorTime(f"{n}", "Conv", "cpu", 1e-6) for n in range(10))
    pairs = measured(FLOAT, runs=launches(8e-6)), measured(INT8, runs=launches(10e-6))
    operators = (Operators("local", INT8, {"N": 1}, times),)
    made = (artifact(FLOAT, batch=size), artifact(INT8, batch=size))

    report = written(tmp_path, *pairs, operators=operators, artifacts=made, spec=spec, bundle=bundle)

    assert [one.command for one in explain(report).causes if one.name == "layers too small"] == [command]


def test_what_a_bare_file_is_compared_with_is_made_first(tmp_path: Path) -> None:
    # The command named the recipe of a bundle behind a file that is none: net.onnx::onnx-int8-static-u8s8.
    name = "onnx-int8-static-s8s8"

    bare = explain(written(tmp_path, measured(name), bundle="net.onnx")).causes
    lacking = explain(written(tmp_path, measured(name), artifacts=(artifact(name),), bundle="my b")).causes
    both = explain(written(tmp_path, measured(name), artifacts=(artifact(name), artifact(INT8)), bundle="my b")).causes

    assert [one.command for one in (*bare, *lacking, *both)] == [
        f"edgekit export SOURCE --to {INT8} --out NEW",
        f"edgekit export SOURCE --to {INT8},{name} --out NEW",
        f"edgekit compare 'my b::{INT8}' 'my b::{name}' --target local",
    ]
