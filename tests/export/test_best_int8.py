"""`onnx-int8` and `tflite-int8` stand for the fastest int8 mode that passes its checks, and say what was tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgekit.core.bundle import Artifact
from edgekit.core.errors import ConversionFailed
from edgekit.core.recipe import Recipe, modes_of
from edgekit.core.reports.report import ParityCheck
from edgekit.core.verdict import Verdict
from edgekit.export.best_int8 import Attempt, Mode, choose
from edgekit.export.request import ExportRequest, ExportResult

Request = Callable[..., ExportRequest]
Convert = Callable[[ExportRequest], ExportResult]
STATIC, DYNAMIC, WEIGHTS = (Recipe("tflite", "int8", mode) for mode in ("static", "dynamic", "weights"))


def attempt(recipe: Recipe, *, value: float) -> Attempt:
    """A mode whose SQNR is `value` dB, of at least 20."""
    verdict = Verdict.PASS if value >= 20 else Verdict.FAIL
    check = ParityCheck(recipe.name, "litert", "samples", "y", "sqnr", value, 20.0, verdict)
    return Attempt.of(recipe, lambda: (made(recipe), [check]))


def made(recipe: Recipe) -> Artifact:
    return Artifact(recipe.name, f"{recipe.name}.tflite", "tflite", "int8", 1, "", "", (), ())


def mode(recipe: Recipe, *, value: float) -> Mode:
    """A mode to try, whose SQNR will be `value` dB."""
    return Mode(recipe.name, lambda _: attempt(recipe, value=value))


def broken(recipe: Recipe) -> Attempt:
    def fail() -> tuple[Artifact, list[ParityCheck]]:
        raise ConversionFailed("The quantizer crashed.")

    return Attempt.of(recipe, fail)


def test_the_first_mode_that_passes_is_taken_and_no_other_is_tried() -> None:
    found = choose(attempt(STATIC, value=30), [Mode("other", lambda _: broken(DYNAMIC))], 60)

    assert found.artifact() == made(STATIC)


def test_what_was_tried_is_said_with_its_reason() -> None:
    first = attempt(STATIC, value=12)

    artifact = choose(first, [mode(DYNAMIC, value=35), mode(WEIGHTS, value=35)], 60).artifact()

    reason = "'y' on 'samples': sqnr 12.0 dB, at least 20.0 dB"
    assert artifact.recipe == "tflite-int8-dynamic"
    assert artifact.warnings == (f"'tflite-int8-static' was tried and left: {reason}",)
    assert artifact.record["tried"] == [{"recipe": "tflite-int8-static", "reason": reason}]
    assert artifact.id


def test_a_mode_that_cannot_be_made_is_no_end() -> None:
    artifact = choose(broken(STATIC), [mode(DYNAMIC, value=35)], 60).artifact()

    assert artifact.recipe == "tflite-int8-dynamic"
    assert "The quantizer crashed." in artifact.warnings[0]


def test_without_any_file_the_first_error_is_raised() -> None:
    with pytest.raises(ConversionFailed, match="crashed"):
        choose(broken(STATIC), [Mode("other", lambda _: broken(DYNAMIC))], 60).artifact()


def test_if_no_mode_passes_the_first_file_stays() -> None:
    artifact = choose(attempt(STATIC, value=12), [mode(DYNAMIC, value=3)], 60).artifact()

    assert artifact.recipe == "tflite-int8-static"
    assert artifact.warnings[-1] == "no int8 mode passed every check; this is the fastest one"


def test_the_time_ends_the_search_and_is_named() -> None:
    times: Iterator[float] = iter([0.0, 5.0, 61.0])

    artifact = choose(
        attempt(STATIC, value=12), [mode(DYNAMIC, value=3), mode(WEIGHTS, value=3)], 60, lambda: next(times)
    ).artifact()

    assert "the time for int8 modes ended before 'tflite-int8-weights'" in artifact.warnings[-1]


@pytest.mark.parametrize(("limit", "recipe"), [(60, "tflite-int8-weights"), (0, "tflite-int8-static")])
def test_a_search_that_takes_all_the_time_leaves_a_short_mode_its_turn(limit: float, recipe: str) -> None:
    now = [0.0]

    def search(left: float) -> Attempt:
        now[0] += left
        return broken(DYNAMIC)

    short = Mode(WEIGHTS.name, lambda _: attempt(WEIGHTS, value=30), is_short=True)
    modes = [Mode("search", search), mode(DYNAMIC, value=35), short]

    artifact = choose(attempt(STATIC, value=12), modes, limit, lambda: now[0]).artifact()

    assert artifact.recipe == recipe
    assert "ended before" in artifact.warnings[-1]


def test_a_mode_that_does_not_apply_is_left_out() -> None:
    artifact = choose(attempt(STATIC, value=12), [Mode("x", lambda _: None), mode(WEIGHTS, value=30)], 60).artifact()

    assert artifact.recipe == "tflite-int8-weights"


@pytest.mark.parametrize(
    ("name", "operators", "modes"),
    [
        ("onnx-int8", {"Conv"}, ["static-u8s8", "dynamic", "weights"]),
        ("onnx-int8", {"GRU"}, ["dynamic", "static-u8s8", "weights"]),
        ("onnx-int8", {"LSTM"}, ["dynamic", "weights"]),
        ("onnx-int8-static", {"Conv"}, ["static-u8s8"]),
        ("onnx-int8-dynamic", {"Conv"}, ["dynamic"]),
    ],
)
def test_an_alias_without_a_mode_may_stand_for_several(name: str, operators: set[str], modes: list[str]) -> None:
    found = modes_of(Recipe.parse(name), frozenset(operators), frozenset({"x86_64", "avx512_vnni"}))

    assert [one.name for one in found] == [f"onnx-int8-{mode}" for mode in modes]


@pytest.mark.slow
def test_a_gru_that_stays_float_in_onnx_gets_weights_in_int8(
    convert: Convert, request_for: Request, tmp_path: Path
) -> None:
    result = convert(request_for("Gated", "x:float32[N,T,8]", "onnx-fp32,onnx-int8", T=12))

    whole, best = result.artifacts
    assert best.recipe == "onnx-int8-weights"
    assert best.size_bytes < 0.5 * whole.size_bytes
    assert {check.verdict for check in result.parity} == {Verdict.PASS}
    assert {check.artifact for check in result.parity} == {"onnx-fp32", "onnx-int8-weights"}
    assert "'onnx-int8-dynamic" in best.warnings[0]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.onnx")) == [
        "onnx-fp32.onnx",
        "onnx-int8-weights.onnx",
    ]


@pytest.mark.slow
def test_a_mode_that_is_asked_for_by_name_stays_and_fails(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("Gated", "x:float32[N,T,8]", "onnx-int8-dynamic", T=12))

    (failed,) = (check for check in result.parity if check.verdict is Verdict.FAIL)
    assert (failed.kind, failed.output) == ("share", "work")
    assert result.artifacts[0].recipe == "onnx-int8-dynamic"
