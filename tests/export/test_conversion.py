"""Real networks become files that do what PyTorch does, and what goes wrong is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.core.bundle import artifact_id
from edgekit.core.errors import Refused, UserError
from edgekit.core.reports.report import ParityCheck
from edgekit.core.samples import Samples
from edgekit.core.system.files import sha256_file
from edgekit.core.verdict import Verdict, worst
from edgekit.export.checking.sampling import run_samples
from edgekit.export.conversion import export_artifacts
from edgekit.export.request import ExportRequest, ExportResult
from edgekit.runtime.backend import BACKENDS, DEFAULT_BACKENDS

pytestmark = pytest.mark.slow

Request = Callable[..., ExportRequest]
Convert = Callable[[ExportRequest], ExportResult]
FOUR = "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8"


def recipes(result: ExportResult) -> list[str]:
    return [artifact.recipe for artifact in result.artifacts]


def cases_of(result: ExportResult, recipe: str) -> set[str]:
    return {check.case for check in result.parity if check.artifact == recipe}


def failing(result: ExportResult) -> list[ParityCheck]:
    return [check for check in result.parity if check.verdict is Verdict.FAIL]


def test_a_convolutional_net_becomes_every_kind_of_file(
    convert: Convert, request_for: Request, static_int8: str, tmp_path: Path
) -> None:
    names = f"{FOUR},onnx-fp16,tflite-fp16,onnx-int8-static-s8s8,tflite-int8-full,tflite-int8-dynamic"

    result = convert(request_for("Cnn", "x:float32[N,1,8,8]", names))

    assert recipes(result) == [
        "onnx-fp32",
        static_int8,
        "tflite-fp32",
        "tflite-int8-static",
        "onnx-fp16",
        "tflite-fp16",
        "onnx-int8-static-s8s8",
        "tflite-int8-full",
        "tflite-int8-dynamic",
    ]
    assert failing(result) == []
    assert [str(tensor) for tensor in result.spec.outputs] == ["output:float32[N,4]"]
    assert result.evaluation.expected["output"].shape == (64, 4)
    for artifact in result.artifacts:
        path = tmp_path / "out" / artifact.file
        assert (artifact.size_bytes, artifact.sha256) == (path.stat().st_size, sha256_file(path))
        assert artifact.id == artifact_id(artifact.record)
        assert artifact.opset == (18 if artifact.format == "onnx" else None)
        assert {"N=1", "N=2", "N=5", "samples"} <= cases_of(result, artifact.recipe)
    assert {"zeros", "low", "high"} <= cases_of(result, "tflite-fp32")
    assert not {"zeros", "low", "high"} & cases_of(result, "tflite-int8-static")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(one.file for one in result.artifacts)


def test_weights_in_4_bits_keep_a_dense_net(convert: Convert, request_for: Request, tmp_path: Path) -> None:
    result = convert(request_for("Wide", "x:float32[N,64]", "onnx-fp32,onnx-int4-weights,tflite-int4-weights"))

    assert failing(result) == []
    whole, onnx, tflite = result.artifacts
    assert onnx.record["options"]["quantized_nodes"] == 2
    assert max(onnx.size_bytes, tflite.size_bytes) < whole.size_bytes / 3


def test_a_graph_without_matrix_products_is_refused_4_bits(request_for: Request, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="refused: only matrix products support 4-bit weights") as caught:
        export_artifacts(request_for("Strided", "x:float32[N,3,T]", "onnx-int4-weights", T=16), tmp_path / "out")

    assert caught.value.code == "nothing-for-int4"


def test_the_record_says_how_an_artifact_was_made(convert: Convert, request_for: Request) -> None:
    request = request_for("Cnn", "x:float32[N,1,8,8]", FOUR)

    floats, ints, *_ = convert(request).artifacts

    assert floats.record["options"]["exporter"] == "dynamo"
    assert floats.record["calibration"] is None
    assert ints.record["calibration"] == {"digest": request.calibration.digest(), "count": 128}
    assert ints.record["options"]["activations"] == "uint8"
    assert set(ints.record["tools"]) == {"edgekit", "torch", "onnx", "onnxscript", "onnxslim", "onnxruntime"}
    assert floats.id != ints.id


def test_two_inputs_and_two_outputs_keep_their_names(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("Two", "left:float32[N,8] right:float32[N,4]", FOUR))

    assert failing(result) == []
    for artifact in result.artifacts:
        assert [str(tensor) for tensor in artifact.inputs] == ["left:float32[N,8]", "right:float32[N,4]"]
        assert [str(tensor) for tensor in artifact.outputs] == ["logits:float32[N,3]", "hidden:float32[N,16]"]


def test_an_input_without_the_batch_is_whole_for_every_sample(convert: Convert, request_for: Request) -> None:
    rng = np.random.default_rng(0)
    shapes = {"x": (32, 1, 8), "table": (32, 5, 8)}
    samples = Samples({name: rng.normal(size=shape).astype("f4") for name, shape in shapes.items()})
    request = request_for("Prototypes", "x:float32[N,8] table:float32[5,8]", "onnx-fp32,tflite-fp32")

    result = convert(dataclasses.replace(request, calibration=samples, evaluation=samples))

    assert failing(result) == []
    assert {"N=2", "N=3"} <= cases_of(result, "onnx-fp32")
    assert [str(tensor) for tensor in result.spec.outputs] == ["output:float32[N,5]"]


def test_a_recurrent_net_is_free_in_onnx_and_has_signatures_in_tflite(
    convert: Convert, request_for: Request, dynamic_int8: str
) -> None:
    names = f"{FOUR},onnx-fp16,tflite-fp16"
    request = with_sizes(request_for("Recurrent", "x:float32[N,T,6]", names, T=8), T=(4, 8))

    result = convert(request)

    assert recipes(result)[:4] == ["onnx-fp32", dynamic_int8, "tflite-fp32", "tflite-int8-dynamic"]
    assert failing(result) == []
    onnx, _, tflite, _, half, _ = result.artifacts
    assert half.record["options"]["float_operators"] == "LSTM,GRU,RNN,Transpose"
    assert [str(tensor) for tensor in onnx.outputs] == ["output_0:float32[N,T,4]", "output_1:float32[N,12]"]
    assert [one.name for one in tflite.signatures] == ["N1_T4", "N1_T8"]
    assert {"N=2 T=4", "N=2 T=6", "N=5 T=8"} <= cases_of(result, "onnx-fp32")
    assert {"N=1 T=4", "N=1 T=8", "N=5 T=8"} <= cases_of(result, "tflite-fp32")
    assert "N=2 T=6" not in cases_of(result, "tflite-fp32")


def test_an_axis_that_follows_from_a_free_one_has_a_name_of_its_own(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("Strided", "x:float32[N,3,T]", "onnx-fp32,tflite-fp32", T=16))

    assert failing(result) == []
    assert [str(tensor) for tensor in result.spec.outputs] == ["output:float32[N,8,output_2]"]


def test_token_ids_stay_integers_and_may_be_padded(convert: Convert, request_for: Request) -> None:
    request = with_sizes(request_for("Tokens", "tokens:int64[N,T]", FOUR, T=8), T=(6, 8), padding=0.0)

    result = convert(request)

    assert failing(result) == []
    onnx, _, tflite, _ = result.artifacts
    assert (onnx.inputs[0].dtype, tflite.inputs[0].dtype) == ("int64", "int32")
    # Of 5 steps the smallest signature takes 6, of which one is padding.
    assert {"N=2 T=5", "N=5 T=8"} <= cases_of(result, "tflite-fp32")


def test_names_that_mean_something_to_python_are_names(convert: Convert, request_for: Request) -> None:
    odd = {"in": 8, "E": 8}
    result = convert(request_for("Tokens", "x.1:int64[in,E]", "onnx-fp32,onnx-int8", **odd))

    assert failing(result) == []
    assert [str(tensor) for tensor in result.artifacts[0].inputs] == ["x.1:int64[in,E]"]


@pytest.mark.parametrize("name", ["x.1", "in", "self"])
def test_an_input_name_that_tflite_cannot_have_is_refused(name: str, request_for: Request, tmp_path: Path) -> None:
    request = request_for("Tokens", f"{name}:int64[N,T]", "tflite-fp32", T=8)

    with pytest.raises(UserError, match=f"A TFLite file cannot have an input called '{name}'"):
        export_artifacts(request, tmp_path / "out")


def test_attention_is_quantized_dynamically(convert: Convert, request_for: Request, dynamic_int8: str) -> None:
    result = convert(request_for("Attention", "x:float32[N,T,8]", "onnx-int8,tflite-int8,onnx-fp16", T=8))

    assert recipes(result) == [dynamic_int8, "tflite-int8-dynamic", "onnx-fp16"]
    assert failing(result) == []


def test_dynamic_int8_of_a_speech_encoder_is_as_good_at_other_lengths(convert: Convert, request_for: Request) -> None:
    request = with_sizes(request_for("Speech", "x:float32[N,T]", "tflite-int8-dynamic", T=800), T=(400, 800))

    found = [check.sqnr_db for check in convert(request).parity if check.kind == "sqnr" and check.sqnr_db is not None]

    # Larger networks of this kind have 28 to 34 dB at every length.
    assert len(found) >= 4
    assert min(found) > 25


def test_transposed_convolutions_stay_float_in_tflite(convert: Convert, request_for: Request, static_int8: str) -> None:
    result = convert(request_for("Generator", "z:float32[N,6]", "onnx-int8,tflite-int8-static"))

    assert recipes(result) == [static_int8, "tflite-int8-static"]
    # Most of the work of this network is that convolution: its file is right, but hardly int8.
    assert [check.kind for check in failing(result)] == ["share"]
    assert "CONV_2D_TRANSPOSE" in result.artifacts[1].record["options"]["float_operators"]


@pytest.mark.parametrize("recipe", ["tflite-int8", "tflite-int8-full"])
def test_an_output_that_the_graph_reads_again_survives_quantization(
    recipe: str, convert: Convert, request_for: Request
) -> None:
    result = convert(request_for("Chosen", "x:float32[N,6]", f"tflite-fp32,{recipe}"))

    assert failing(result) == []
    assert [tensor.dtype for tensor in result.artifacts[1].outputs] == ["float32", "int32"]
    assert "the operator of output 'output_0' stays float32" in result.artifacts[1].warnings


def test_int8_of_transposed_convolutions_is_a_mode_that_has_them(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("Generator", "z:float32[N,6]", "tflite-int8"))

    assert recipes(result) == ["tflite-int8-dynamic"]
    assert failing(result) == []


@pytest.mark.parametrize("recipe", ["onnx-int8", "tflite-int8"])
def test_int8_keeps_scores_that_are_joined_with_boxes_in_pixels(
    recipe: str, convert: Convert, request_for: Request, tmp_path: Path
) -> None:
    result = convert(request_for("Detector", "x:float32[N,1,8,8]", recipe))

    (artifact,) = result.artifacts
    backend = BACKENDS.get(DEFAULT_BACKENDS[artifact.format])()
    with backend.open(tmp_path / "out" / artifact.file, {}, result.spec) as session:
        got = run_samples(session, result.spec, result.evaluation)["output"]
    # One scale for both parts has steps of 2.5, and every score is 0 or 2.5.
    exact = result.evaluation.expected["output"]
    assert np.allclose(np.asarray(got, np.float32)[:, 2:], np.asarray(exact, np.float32)[:, 2:], rtol=0, atol=0.05)
    assert failing(result) == []
    assert any("stays float32" in text for text in artifact.warnings)


def test_int8_throughout_fails_on_joined_parts_and_says_what_to_do(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("Detector", "x:float32[N,1,8,8]", "tflite-int8-full"))

    scores = [check for check in result.parity if check.case == "samples" and check.verdict is Verdict.FAIL]
    assert [check.output for check in scores] == ["output[..., 2:5, :]"]
    assert "give the parts as outputs of their own" in scores[0].reason
    assert any("give the parts as outputs of their own" in text for text in result.warnings)


def test_a_mean_over_steps_is_calibrated_at_every_length_it_is_judged_at(
    convert: Convert, request_for: Request, static_int8: str
) -> None:
    request = with_sizes(request_for("Mean", "x:float32[N,3,T]", static_int8, T=256), T=(4, 256))

    result = convert(request)

    assert "N=1 T=4" in cases_of(result, static_int8)
    assert failing(result) == []


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_ranges_are_read_by_the_method_that_was_asked_for(method: str, convert: Convert, request_for: Request) -> None:
    from dataclasses import replace

    request = request_for("Cnn", "x:float32[N,1,8,8]", "onnx-fp32,onnx-int8")

    one, other = (convert(replace(request, method=name)).artifacts[1] for name in ("min-max", method))

    assert other.record["options"]["calibration"] == method
    assert one.sha256 != other.sha256


def test_a_method_that_tflite_does_not_have_is_refused(request_for: Request, tmp_path: Path) -> None:
    from dataclasses import replace

    request = replace(request_for("Cnn", "x:float32[N,1,8,8]", "tflite-int8"), method="entropy")

    with pytest.raises(Refused) as caught:
        export_artifacts(request, tmp_path / "out")

    assert (caught.value.code, caught.value.hint) == ("histogram-tflite", "--calibration-method min-max")


def test_a_model_without_a_batch_axis_converts(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("Single", "x:float32[6]", FOUR))

    assert failing(result) == []
    assert [str(tensor) for tensor in result.spec.outputs] == ["output:float32[4]"]


def test_outputs_may_be_time_major_or_have_a_value_per_call(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("TimeMajor", "x:float32[N,T,4]", "onnx-fp32,tflite-fp32", T=6))

    assert failing(result) == []
    assert [str(tensor) for tensor in result.spec.outputs] == [
        "scores:float32[T,N,5]",
        "loss:float32[]",
        "classes:int64[]",
    ]
    assert result.evaluation.expected["scores"].shape == (64, 6, 5)
    assert {"samples", "N=1 T=6"} <= cases_of(result, "tflite-fp32")


def test_a_module_for_one_sample_gets_one_sample_at_a_time(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("OneRow", "x:float32[N,8]", "onnx-fp32,tflite-fp32"))

    assert failing(result) == []
    assert [str(tensor) for tensor in result.spec.inputs] == ["x:float32[1,8]"]
    assert result.evaluation.expected["output"].shape == (64, 1, 3)
    assert any("the batch is fixed at 1" in text for text in result.warnings)


def test_a_batch_that_is_read_as_a_number_of_python_stays_dynamic(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("Repeating", "x:float32[N,T,8]", "onnx-fp32", T=6))

    assert failing(result) == []
    assert not any("fixed at" in text or "legacy exporter" in text for text in result.warnings)


def test_a_frozen_batch_axis_fails_validation_and_says_so(convert: Convert, request_for: Request) -> None:
    result = convert(request_for("Frozen", "x:float32[N,6]", "onnx-fp32"))

    assert worst(check.verdict for check in result.parity) is Verdict.FAIL
    assert any(check.case == "N=5" and check.reason for check in failing(result))
    assert any("fixed at" in text or "legacy exporter" in text for text in result.warnings)


def test_a_loop_over_steps_is_fixed_in_onnx_and_fits_the_signatures_of_tflite(
    convert: Convert, request_for: Request
) -> None:
    request = with_sizes(request_for("Looping", "x:float32[N,T,6]", "onnx-fp32,tflite-fp32", T=8), T=(4, 8))

    result = convert(request)

    assert {(check.artifact, "T=8" in check.case) for check in failing(result)} == {("onnx-fp32", False)}
    assert "onnx-fp32: axis 'T' of 'x' is fixed at 8 in this file" in result.warnings


def test_the_same_request_gives_the_same_files(request_for: Request, tmp_path: Path) -> None:
    request = request_for("Cnn", "x:float32[N,1,8,8]", "onnx-fp32,onnx-int8")

    first, second = (export_artifacts(request, tmp_path / name).artifacts for name in ("a", "b"))

    assert [one.sha256 for one in first] == [one.sha256 for one in second]


def test_a_changed_weight_changes_what_the_cache_gives(convert: Convert, request_for: Request, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from edgekit.export.torch.module import load_module

    request = request_for("Cnn", "x:float32[N,1,8,8]", "onnx-fp32")
    before = convert(request)
    state = dict(load_module(request.module, seed=0).state_dict())
    save_file({**state, "head.bias": state["head.bias"] + torch.ones(4)}, tmp_path / "weights.safetensors")

    after = convert(with_weights(request, tmp_path / "weights.safetensors"))

    assert failing(after) == []
    assert after.artifacts[0].sha256 != before.artifacts[0].sha256


def test_int8_inputs_and_outputs_take_and_give_floats(convert: Convert, request_for: Request, tmp_path: Path) -> None:
    request = request_for("Cnn", "x:float32[N,1,8,8]", "tflite-int8-full")

    (artifact,) = convert(request).artifacts

    assert (artifact.inputs[0].dtype, artifact.outputs[0].dtype) == ("int8", "int8")
    backend = BACKENDS.get(DEFAULT_BACKENDS["tflite"])()
    with backend.open(tmp_path / "out" / artifact.file, {}, request.spec) as session:
        answer = session.run({"x": np.zeros((1, 1, 8, 8), np.float32)})
    assert next(iter(answer.values())).dtype == np.float32


def with_sizes(request: ExportRequest, *, padding: float | None = None, **sizes: tuple[int, ...]) -> ExportRequest:
    from dataclasses import replace

    import msgspec

    inputs = tuple(msgspec.structs.replace(tensor, padding=padding) for tensor in request.spec.inputs)
    return replace(request, spec=msgspec.structs.replace(request.spec, inputs=inputs, sizes=sizes))


def with_weights(request: ExportRequest, path: Path) -> ExportRequest:
    from dataclasses import replace

    changes: dict[str, Any] = {"module": type(request.module)(request.module.location, str(path))}
    return replace(request, **changes)
