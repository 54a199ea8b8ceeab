"""Operator times of .tflite files, from LiteRT's own profiler."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tests.runtime.tflite_files import CHANNELS, convolutions, counting, resizable

from edgekit.runtime.backend import BACKENDS, TimesOperators
from edgekit.runtime.backends import litert
from edgekit.runtime.backends.litert import LiteRT
from edgekit.runtime.backends.litert_profiler import FileOperator, OperatorEvent, ProfilerUnavailable
from edgekit.runtime.backends.operator_times import operators_of

DATA = Path(__file__).parents[1] / "data"
CODES = schema.BuiltinOperator


def image(side: int = 64) -> dict[str, np.ndarray[Any, Any]]:
    return {"x": np.random.default_rng(1).normal(size=(1, side, side, CHANNELS)).astype(np.float32)}


def test_the_operators_of_a_real_file_have_its_names_and_types(tmp_path: Path) -> None:
    found = LiteRT().operators(convolutions(tmp_path / "a.tflite"), {}, image())

    assert [(one.kind, one.name, one.provider) for one in found] == [
        (kind, f"{name}{number}", "xnnpack")
        for number in range(3)
        for kind, name in (("CONV_2D", "layer"), ("LOGISTIC", "act"))
    ]
    assert all(one.seconds > 0 for one in found)
    assert min(one.seconds for one in found if one.kind == "CONV_2D") > max(
        one.seconds for one in found if one.kind == "LOGISTIC"
    )


@pytest.mark.timing
def test_the_sum_is_the_latency_without_a_profiler(tmp_path: Path) -> None:
    file = convolutions(tmp_path / "a.tflite", count=6)
    ratios = []
    with LiteRT().open(file, {}) as session:
        call = session.bind(image())
        for _ in range(10):  # in turn, because other work on the machine comes and goes
            latency = float(np.median([timed(call) for _ in range(200)]))
            ratios.append(sum(one.seconds for one in LiteRT().operators(file, {}, image())) / latency)

    # The share that `profile` warns of.
    assert float(np.median(ratios)) == pytest.approx(1, rel=0.3)


def timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_more_threads_are_those_of_the_target(tmp_path: Path) -> None:
    assert len(LiteRT().operators(convolutions(tmp_path / "a.tflite", 1), {"threads": "2"}, image())) == 2


@pytest.mark.parametrize("size", [2, 5])
def test_free_axes_take_the_sizes_of_the_feed(tmp_path: Path, size: int) -> None:
    feed = {"x": np.ones((size, 3, 4, 2), np.float32)}

    (found,) = LiteRT().operators(resizable(tmp_path / "a.tflite"), {}, feed)

    assert (found.kind, found.name) == ("MEAN", "y")


def test_the_signature_is_the_one_that_runs_the_feed() -> None:
    two = {name: np.ones((2, 3), np.float32) for name in ("a", "b")}

    found = LiteRT().operators(DATA / "two.tflite", {}, two)

    assert {one.name for one in found} == {"sum", "product"}


def test_quantized_inputs_take_floats_and_stored_integers() -> None:
    for dtype in (np.float32, np.int8):
        found = LiteRT().operators(DATA / "quantized.tflite", {}, {"x": np.zeros((1, 3), dtype)})

        assert "FULLY_CONNECTED" in {one.kind for one in found}


def test_what_runs_several_times_or_without_xnnpack_is_told_apart(tmp_path: Path) -> None:
    chunks = LiteRT().operators(DATA / "linear.tflite", {}, {"x": np.zeros((7, 3), np.float32)})
    variables = LiteRT().operators(counting(tmp_path / "a.tflite"), {}, {"x": np.zeros(1, np.float32)})

    assert chunks == ()
    assert "cpu" in {one.provider for one in variables}


def test_the_structures_of_another_version_are_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "_version", lambda: "2.9.0")

    assert LiteRT().operators(convolutions(tmp_path / "a.tflite", 1), {}, image()) == ()


def test_the_installed_version_has_a_known_profiler() -> None:
    assert isinstance(BACKENDS.get("litert")(), TimesOperators)
    assert LiteRT().operators(DATA / "bare.tflite", {}, {"x": np.zeros((2, 3), np.float32)})


def named(*kinds: str, file: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    """Types and names that operators which ran are given, for a file with these types and names."""
    events = [OperatorEvent(kind, 1, place, is_delegated=True) for place, kind in enumerate(kinds)]
    operators = [FileOperator(getattr(CODES, kind), name) for kind, name in file]
    return ((one.kind, one.name) for one in operators_of(lambda: events, operators))


def test_steps_of_one_operator_keep_the_names_of_the_engine() -> None:
    found = named(
        "Fully Connected (NC, F32) GEMM", "Exp (NC)", "Sum (ND) Reduce2", "Multiply (ND)", "Multiply (ND)",
        file=(("FULLY_CONNECTED", "head"), ("SOFTMAX", "scores"), ("MUL", "scaled")),
    )  # fmt: skip

    assert list(found) == [
        ("FULLY_CONNECTED", "head"),
        ("Exp (NC)", "Exp (NC) 1"),
        ("Sum (ND) Reduce2", "Sum (ND) Reduce2 2"),
        # Either of both may be the one of the file.
        ("Multiply (ND)", "Multiply (ND) 3"),
        ("Multiply (ND)", "Multiply (ND) 4"),
    ]


def test_layers_with_weights_decide_over_what_stands_between_them() -> None:
    found = named(
        "Add (ND)", "Convolution (NHWC, F32) IGEMM", "Add (ND)",
        file=(("CONV_2D", "conv"), ("ADD", "sum"), ("ADD", "more"), ("LOGISTIC", "left_out")),
    )  # fmt: skip

    assert dict(found)["CONV_2D"] == "conv"


def test_runs_with_different_operators_have_no_times() -> None:
    runs = iter([OperatorEvent("Add", 1, place, is_delegated=True)] for place in range(1000))

    with pytest.raises(ProfilerUnavailable):
        operators_of(lambda: next(runs), [])
