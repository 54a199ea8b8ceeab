"""Conversions that fail: a converter that breaks, a wrong file, a wrong module, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgekit.core.errors import ConversionFailed, UserError
from edgekit.core.verdict import Verdict
from edgekit.export.conversion import export_artifacts
from edgekit.export.request import ExportRequest, ExportResult

pytestmark = pytest.mark.slow

Request = Callable[..., ExportRequest]
Convert = Callable[[ExportRequest], ExportResult]
FOUR = "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8"


def test_a_perturbed_weight_is_found_and_named(
    request_for: Request, fake_exporters: Callable[[str], str], tmp_path: Path
) -> None:
    fake_exporters("Perturbing")

    result = export_artifacts(request_for("Cnn", "x:float32[N,1,8,8]", "onnx-fp32"), tmp_path / "out")

    check = next(check for check in result.parity if check.verdict is Verdict.FAIL)
    assert (check.artifact, check.output, check.samples) == ("onnx-fp32", "output", 64)
    assert check.sample is not None


def test_a_file_that_no_engine_opens_is_a_failed_conversion(
    request_for: Request, fake_exporters: Callable[[str], str], tmp_path: Path
) -> None:
    fake_exporters("Garbage")

    with pytest.raises(ConversionFailed, match=r"The converter wrote an invalid file: .*float\.onnx"):
        export_artifacts(request_for("Cnn", "x:float32[N,1,8,8]", "onnx-fp32"), tmp_path / "out")


def test_a_file_that_crashes_its_engine_takes_the_worker_along_and_nobody_else(
    request_for: Request, fake_exporters: Callable[[str], str], tmp_path: Path
) -> None:
    fake_exporters("CrashingEngine")

    with pytest.raises(ConversionFailed, match=r"it crashed \(SIGSEGV\)"):
        export_artifacts(request_for("Cnn", "x:float32[N,1,8,8]", "onnx-int8"), tmp_path / "out")


@pytest.mark.parametrize(
    ("exporter", "reason"),
    [
        ("Silent", "did not write a file"),
        ("Killed", r"killed \(signal 9\)"),
        ("Hanging", r"no reply within 20 s"),
        ("Greedy", "out of memory"),
        ("Scribbling", "did not write an ONNX model|invalid file"),
    ],
)
def test_a_converter_that_gives_nothing_is_a_failed_conversion(
    exporter: str, reason: str, request_for: Request, fake_exporters: Callable[[str], str], tmp_path: Path
) -> None:
    from dataclasses import replace

    fake_exporters(f"{exporter}Quantizer")
    # `onnx-int8` would try its other modes as well, and wait for each of them.
    timeout_s, recipe = (20, "onnx-int8-dynamic") if exporter == "Hanging" else (300, "onnx-int8")
    request = replace(request_for("Cnn", "x:float32[N,1,8,8]", recipe), timeout_s=timeout_s)

    with pytest.raises(ConversionFailed, match=reason) as caught:
        export_artifacts(request, tmp_path / "out")

    assert caught.value.exit_code == 5


def test_int8_of_a_float_file_that_was_not_made_has_its_reason(
    request_for: Request, fake_exporters: Callable[[str], str], tmp_path: Path
) -> None:
    # The other modes of int8 opened the float32 file: a bug in edgekit, FileNotFoundError.
    fake_exporters("Silent")

    with pytest.raises(ConversionFailed, match="while converting 'cnn'"):
        export_artifacts(request_for("Cnn", "x:float32[N,1,8,8]", "onnx-int8"), tmp_path / "out")


def test_a_recipe_that_fails_leaves_the_others(
    request_for: Request, fake_exporters: Callable[[str], str], static_int8: str, tmp_path: Path
) -> None:
    from dataclasses import replace

    fake_exporters("KilledQuantizer")
    request = request_for("Cnn", "x:float32[N,1,8,8]", "onnx-int8,onnx-fp32,onnx-fp16")

    result = export_artifacts(replace(request, keep_going=True), tmp_path / "out")

    assert [one.recipe for one in result.artifacts] == ["onnx-fp32"]
    assert {(one.recipe, one.kind) for one in result.failures} == {
        (static_int8, "ConversionFailed"),
        ("onnx-fp16", "ConversionFailed"),
    }
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["onnx-fp32.onnx"]


def test_a_file_that_cannot_be_opened_is_not_kept(
    request_for: Request, fake_exporters: Callable[[str], str], tmp_path: Path
) -> None:
    from dataclasses import replace

    fake_exporters("ScribblingQuantizer")
    request = request_for("Cnn", "x:float32[N,1,8,8]", "onnx-fp32,onnx-fp16")

    result = export_artifacts(replace(request, keep_going=True), tmp_path / "out")

    assert [one.recipe for one in result.failures] == ["onnx-fp16"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["onnx-fp32.onnx"]


def test_outputs_of_any_length_are_for_onnx_alone(request_for: Request, tmp_path: Path) -> None:
    from dataclasses import replace

    request = request_for("Positive", "x:float32[1,12]", "onnx-fp32,tflite-fp32")

    result = export_artifacts(replace(request, keep_going=True), tmp_path / "out")

    assert [check for check in result.parity if check.verdict is Verdict.FAIL] == []
    assert [one.recipe for one in result.artifacts] == ["onnx-fp32"]
    (failure,) = result.failures
    assert "the shape of output 'output' depends on the values of the inputs" in failure.message
    assert "topk" in failure.hint


def test_a_refused_recipe_leaves_the_others(request_for: Request, tmp_path: Path) -> None:
    from dataclasses import replace

    request = request_for("Recurrent", "x:float32[N,T,6]", "onnx-fp32,onnx-int8-static", T=8)

    result = export_artifacts(replace(request, keep_going=True), tmp_path / "out")

    assert [one.recipe for one in result.artifacts] == ["onnx-fp32"]
    assert [(one.recipe, one.code) for one in result.failures] == [("onnx-int8-static", "static-lstm")]


def test_random_weights_are_those_of_one_build_in_every_file(request_for: Request, tmp_path: Path) -> None:
    request = request_for("Unseeded", "x:float32[N,4]", "onnx-fp32,tflite-fp32", file="faulty.py")

    result = export_artifacts(request, tmp_path / "out")

    assert [check for check in result.parity if check.verdict is Verdict.FAIL] == []
    assert any("the factory's weights are random" in text for text in result.warnings)
    assert (tmp_path / "out" / "weights.safetensors").is_file()


def test_a_wrong_file_with_a_good_answer_fails_parity(
    request_for: Request, fake_exporters: Callable[[str], str], static_int8: str, tmp_path: Path
) -> None:
    fake_exporters("WrongQuantizer")

    result = export_artifacts(request_for("Cnn", "x:float32[N,1,8,8]", "onnx-fp32,onnx-int8"), tmp_path / "out")

    failed = {check.artifact for check in result.parity if check.verdict is Verdict.FAIL}
    assert failed == {static_int8}


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("raises", "the weights are elsewhere"),
        ("no_module", "returned int, not a torch.nn.Module"),
        ("Branching", r"control flow depends on the values of its inputs.*if y.sum\(\) > 0"),
        ("Narrow", r"The module fails on x float32\[1, 5\]"),
        ("Noisy", r"draws random numbers when it runs \('randn_like' at"),
        ("Remembering", "changes 'past' when it runs"),
        ("Text", "The module returns str in output 'output'"),
    ],
)
def test_a_wrong_module_is_a_user_error(factory: str, message: str, request_for: Request, tmp_path: Path) -> None:
    features = 5 if factory == "Narrow" else 4
    request = request_for(factory, f"x:float32[N,{features}]", "onnx-fp32,tflite-fp32", file="faulty.py")

    with pytest.raises(UserError, match=message):
        export_artifacts(request, tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []


def test_control_flow_on_data_is_refused_for_tflite_alone_as_well(request_for: Request, tmp_path: Path) -> None:
    request = request_for("Branching", "x:float32[N,4]", "tflite-fp32", file="faulty.py")

    with pytest.raises(UserError, match=r"faulty.py:\d+ `if y.sum\(\) > 0:`"):
        export_artifacts(request, tmp_path / "out")


def test_samples_of_a_length_without_a_signature_are_refused_before_any_work(
    request_for: Request, tmp_path: Path
) -> None:
    request = with_sizes(request_for("Recurrent", "x:float32[N,T,6]", "tflite-fp32", T=8), T=(4, 16))

    with pytest.raises(UserError, match="The samples have T=8; a TFLite file has only T=4,16") as caught:
        export_artifacts(request, tmp_path / "out")

    assert caught.value.hint == "--sizes T=4,8,16"


def test_a_recipe_that_is_known_to_fail_is_refused(request_for: Request, tmp_path: Path) -> None:
    request = request_for("Recurrent", "x:float32[N,T,6]", "tflite-int8-static", T=8)

    with pytest.raises(UserError, match="Recipe 'tflite-int8-static' is refused: static int8 leaves") as caught:
        export_artifacts(request, tmp_path / "out")

    assert caught.value.hint == "--to tflite-int8-dynamic"


def test_ctrl_c_ends_every_worker(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from conftest import request_of
        from edgekit.export.conversion import export_artifacts
        request = request_of("Recurrent", "x:float32[N,T,6]", "onnx-fp32,tflite-fp32", T=64)
        print("go", flush=True)
        export_artifacts(request, Path({str(tmp_path / "out")!r}))
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while len(children := psutil.Process(process.pid).children()) < 2:
        time.sleep(0.05)
    time.sleep(3)

    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert b"KeyboardInterrupt" in errors
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def with_sizes(request: ExportRequest, *, padding: float | None = None, **sizes: tuple[int, ...]) -> ExportRequest:
    from dataclasses import replace

    import msgspec

    inputs = tuple(msgspec.structs.replace(tensor, padding=padding) for tensor in request.spec.inputs)
    return replace(request, spec=msgspec.structs.replace(request.spec, inputs=inputs, sizes=sizes))


def with_weights(request: ExportRequest, path: Path) -> ExportRequest:
    from dataclasses import replace

    changes: dict[str, Any] = {"module": type(request.module)(request.module.location, str(path))}
    return replace(request, **changes)
