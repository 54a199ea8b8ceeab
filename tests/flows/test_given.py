"""Files that were exported elsewhere are sources: kept, quantized, checked against themselves, or refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.flows import onnx_files
from tests.processor import SATURATES

from edgekit.core.errors import ModelUnreadable, Refused, UserError
from edgekit.core.refusals import REFUSALS
from edgekit.core.reports.report import Report
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.build import build
from edgekit.flows.export import export
from edgekit.flows.opening.source import ExportOptions, SourceOptions, open_source
from edgekit.flows.run import run

DATA = Path(__file__).parents[1] / "runtime" / "data"

# Parity finds sums that saturate: such a file fails there, as it should.
DYNAMIC = "" if SATURATES else ",onnx-int8-dynamic"


def made(source: Path, to: str, inputs: tuple[str, ...] = (), **arrays: np.ndarray) -> Report:
    """The report of an export from `source` with these samples."""
    samples = source.parent / "samples.npz"
    np.savez(samples, **arrays)  # type: ignore[arg-type]  # arrays by name
    return export(str(source), out=source.parent / "out", to=to, options=SourceOptions(samples=samples, inputs=inputs))


def even(*shape: int | str) -> np.ndarray:
    return np.random.default_rng(1).uniform(-2, 2, [int(size) for size in shape]).astype(np.float32)


def inputs_of(report: Report) -> list[str]:
    assert report.spec is not None
    return [str(tensor) for tensor in report.spec.inputs]


def test_an_onnx_file_is_kept_and_quantized_and_agrees_with_itself(tmp_path: Path) -> None:
    source = onnx_files.dense(tmp_path / "net.onnx")

    report = made(source, f"onnx-fp32,onnx-fp16,onnx-int8{DYNAMIC}", x=even(64, 8))

    assert report.verdict is Verdict.PASS
    assert len(report.artifacts) == 3 + bool(DYNAMIC)
    assert inputs_of(report) == ["x:float32[batch,8]"]
    assert {"batch=1", "batch=5"} <= {check.case for check in report.parity}


@pytest.mark.slow
def test_a_file_whose_nodes_are_in_another_order_is_a_source(tmp_path: Path) -> None:
    source = onnx_files.dense(tmp_path / "net.onnx")
    model = onnx.load(str(source))
    nodes = list(reversed(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(source))

    report = made(source, f"onnx-fp32{DYNAMIC}", x=even(64, 8))

    assert report.verdict is Verdict.PASS
    (tmp_path / "out").rename(tmp_path / "other")
    # Of nodes that read each other there is no order.
    model.graph.node[-1].input[0] = "y"
    onnx.save(model, str(source))
    with pytest.raises(ModelUnreadable, match="circle"):
        made(source, "onnx-fp32", x=even(64, 8))


def test_artifacts_have_the_opset_that_is_asked_for(tmp_path: Path) -> None:
    source = onnx_files.dense(tmp_path / "net.onnx")
    np.savez(tmp_path / "samples.npz", x=even(64, 8))
    options, how = SourceOptions(samples=tmp_path / "samples.npz"), ExportOptions(opset=11)

    report = export(str(source), out=tmp_path / "out", to="onnx-fp32,onnx-fp16,onnx-int8", options=options, how=how)

    assert report.verdict is Verdict.PASS
    assert [one.opset for one in report.artifacts] == [11, 11, 13]
    assert any("int8 needs opset 13, the float file has opset 11" in text for text in report.warnings)


def test_an_opset_is_refused_where_no_file_has_one(tmp_path: Path) -> None:
    source = onnx_files.dense(tmp_path / "net.onnx")

    with pytest.raises(UserError, match="--opset does not apply to tflite-fp32"):
        export(str(source), out=tmp_path / "out", to="tflite-fp32", how=ExportOptions(opset=11))


def test_a_fixed_batch_becomes_free_when_asked(tmp_path: Path) -> None:
    source = onnx_files.dense(tmp_path / "net.onnx", batch=1)

    report = made(source, "onnx-fp32,onnx-int8", inputs=("x:float32[N,8]",), x=even(64, 8))

    assert report.verdict is Verdict.PASS
    assert str(report.artifacts[0].inputs[0]) == "x:float32[N,8]"


def test_an_axis_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    source = onnx_files.dense(tmp_path / "net.onnx")

    with pytest.raises(UserError, match=r"takes 'x:float32\[batch,8\]', not 'x:float32\[N,9\]'"):
        made(source, "onnx-fp32", inputs=("x:float32[N,9]",), x=even(64, 9))


def test_classical_models_run_as_they_are(tmp_path: Path) -> None:
    report = made(onnx_files.classifier(tmp_path / "tree.onnx"), "onnx-fp32", x=even(64, 3))

    assert report.verdict is Verdict.PASS
    assert [one.dtype for one in report.artifacts[0].outputs] == ["int64", "float32"]


def test_text_goes_in_and_comes_out(tmp_path: Path) -> None:
    words = np.array(["cat", "dog", "cat", "horse", "dog", "cat"])

    report = made(onnx_files.plural(tmp_path / "words.onnx"), "onnx-fp32", x=words)

    assert report.verdict is Verdict.PASS
    assert inputs_of(report) == ["x:str[N]"]
    answers = run(str(tmp_path / "out"), input=["sample:0"]).answers
    assert [one.outputs["y"] for one in answers] in ([["cats"]], [["dogs"]], [["horses"]])


def test_text_is_not_quantized(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        made(onnx_files.plural(tmp_path / "words.onnx"), "onnx-int8", x=np.array(["cat", "dog", "cat", "horse"]))

    assert (caught.value.code, caught.value.hint) == ("strings", "--to onnx-fp32")


def test_what_arrays_do_not_hold_is_fed_and_read_as_a_wider_type(tmp_path: Path) -> None:
    source = onnx_files.doubling(tmp_path / "net.onnx", TensorProto.BFLOAT16)

    report = made(source, "onnx-fp32", x=even(16, 4))

    assert report.verdict is Verdict.PASS
    assert inputs_of(report) == ["x:float32[N,4]"]
    assert [str(one) for one in report.artifacts[0].outputs] == ["y:float32[N,4]"]
    assert "'x' is bfloat16 in the source" in "".join(report.artifacts[0].warnings)


def test_an_operator_that_the_engine_lacks_is_written_out(tmp_path: Path) -> None:
    source = onnx_files.swish(tmp_path / "net.onnx")

    report = made(source, "onnx-fp32,onnx-int8", x=even(64, 4))

    assert report.verdict is Verdict.PASS
    assert "ONNX Runtime does not support this Swish" in "".join(report.artifacts[0].warnings)
    kept = onnx.load(str(tmp_path / "out" / "onnx-fp32.onnx"))
    assert "Swish" not in {node.op_type for node in kept.graph.node}


def test_weights_beside_the_file_come_along(tmp_path: Path) -> None:
    source = onnx_files.dense(tmp_path / "net.onnx", external="data.bin")

    report = made(source, "onnx-fp32", x=even(64, 8))

    assert report.verdict is Verdict.PASS
    assert [path.name for path in (tmp_path / "out").glob("*.onnx*")] == ["onnx-fp32.onnx"]


@pytest.mark.parametrize("place", ["../data.bin", "/etc/hostname", "link.bin"])
def test_weights_outside_the_folder_are_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    source = onnx_files.dense(tmp_path / "inside" / "net.onnx", external=place)
    (tmp_path / "data.bin").write_bytes(bytes(128))
    (tmp_path / "inside" / "link.bin").symlink_to(tmp_path / "data.bin")

    with pytest.raises(Refused) as caught:
        open_source(str(source), SourceOptions(), Settings())

    assert caught.value.code == "external-path"


def test_missing_weights_are_named(tmp_path: Path) -> None:
    source = onnx_files.dense(tmp_path / "net.onnx", external="data.bin")
    (tmp_path / "data.bin").unlink()

    with pytest.raises(ModelUnreadable, match=r"its weights in 'data\.bin', which is not in the same folder"):
        open_source(str(source), SourceOptions(), Settings())


@pytest.mark.parametrize("code", ["sequence-type", "optional-type", "map-type", "unknown-rank", "element-type"])
def test_what_is_no_tensor_of_numbers_is_refused_by_code(code: str, tmp_path: Path) -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    kinds = {
        "sequence-type": helper.make_sequence_type_proto(tensor),
        "optional-type": helper.make_optional_type_proto(tensor),
        "map-type": helper.make_map_type_proto(TensorProto.INT64, tensor),
        "unknown-rank": helper.make_tensor_type_proto(TensorProto.FLOAT, None),
        "element-type": helper.make_tensor_type_proto(TensorProto.COMPLEX64, [1]),
    }
    value = helper.make_value_info("x", kinds[code])
    graph = onnx_files.model([helper.make_node("Identity", ["x"], ["y"])], [value], [onnx_files.tensor("y", [1])])
    onnx.save(graph, str(tmp_path / "odd.onnx"))

    with pytest.raises(Refused, match=r"'x' .*is refused: ") as caught:
        open_source(str(tmp_path / "odd.onnx"), SourceOptions(), Settings())

    assert caught.value.code == code
    assert REFUSALS[code].reason in caught.value.message


@pytest.mark.parametrize("suffix", ["onnx", "tflite", "pt2"])
def test_a_file_of_something_else_is_unreadable(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"net.{suffix}").write_bytes(b"not a model at all" * 20)

    with pytest.raises(ModelUnreadable, match=f"net.{suffix}"):
        open_source(str(tmp_path / f"net.{suffix}"), SourceOptions(), Settings())


def test_a_recipe_without_a_way_there_is_refused_before_any_work(tmp_path: Path) -> None:
    tflite = next(DATA.glob("*.tflite"))

    with pytest.raises(Refused) as caught:
        export(str(tflite), out=tmp_path / "out", to="onnx-fp32")

    assert (caught.value.code, caught.value.hint) == ("tflite-to-onnx", "--to tflite-fp32,tflite-int8")


def test_ranges_are_not_read_from_invented_samples(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        export(str(onnx_files.dense(tmp_path / "net.onnx")), out=tmp_path / "out", to="onnx-int8")

    assert (caught.value.code, caught.value.hint) == ("no-real-samples", "--samples FILE.npz, or --to onnx-fp32")


@pytest.mark.parametrize("name", ["linear", "bare", "two"])
def test_a_tflite_file_is_kept_and_quantized_with_signatures_or_without(name: str, tmp_path: Path) -> None:
    source = tmp_path / f"{name}.tflite"
    source.write_bytes((DATA / source.name).read_bytes())
    spec = open_source(str(source), SourceOptions(), Settings()).spec

    batched = spec.batch_axis is not None
    arrays = {tensor.name: even(64, *tensor.shape[batched:]) for tensor in spec.inputs}

    report = made(source, "tflite-fp32,tflite-int8,tflite-fp16", (), **arrays)

    assert report.verdict is Verdict.PASS
    assert len(report.artifacts) == 3


def test_what_is_quantized_is_not_quantized_again(tmp_path: Path) -> None:
    made(onnx_files.dense(tmp_path / "net.onnx"), "onnx-int8-static", x=even(64, 8))
    quantized = next((tmp_path / "out").glob("onnx-int8*.onnx"))

    with pytest.raises(Refused) as caught:
        export(str(quantized), out=tmp_path / "again", to="onnx-int8-dynamic")

    assert caught.value.code == "already-quantized"


def program(path: Path) -> Path:
    """(batch, 6) -> (batch, 4), saved by torch.export."""
    import torch

    torch.manual_seed(0)
    free = ({0: torch.export.Dim("batch")},)
    found = torch.export.export(torch.nn.Linear(6, 4).eval(), (torch.zeros(2, 6),), dynamic_shapes=free)
    torch.export.save(found, path)
    return path


@pytest.mark.slow
def test_a_saved_program_is_a_source_like_its_module(tmp_path: Path) -> None:
    report = made(program(tmp_path / "net.pt2"), "onnx-fp32,onnx-int8,tflite-fp32", input=even(64, 6))

    assert report.verdict is Verdict.PASS
    assert inputs_of(report) == ["input:float32[N,6]"]


@pytest.mark.parametrize(
    ("find", "put", "message"),
    [
        ("torch.ops.aten.linear.default", "torch.hub.load", "calls 'torch.hub.load'"),
        ("torch.ops.aten.linear.default", "os.system", "calls 'os.system'"),
        ("Symbol('s", "exit() or Symbol('s", "which is not a plain expression"),
    ],
)
def test_a_program_that_would_run_code_is_refused(find: str, put: str, message: str, tmp_path: Path) -> None:
    evil = rewritten(program(tmp_path / "net.pt2"), find, put)

    with pytest.raises(ModelUnreadable, match=message.replace("(", r"\(")):
        open_source(str(evil), SourceOptions(), Settings())


def rewritten(path: Path, find: str, put: str) -> Path:
    """A copy of the archive with `find` replaced in its graph."""
    copy = path.with_name("evil.pt2")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
        for entry in source.infolist():
            data = source.read(entry)
            if "/models/" in entry.filename:
                assert find in data.decode()
                data = data.decode().replace(find, put).encode()
                json.loads(data)
            target.writestr(entry.filename, data)
    return copy


def test_rows_of_a_file_with_a_fixed_batch_run_one_by_one(tmp_path: Path) -> None:
    file = onnx_files.dense(tmp_path / "one.onnx", batch=1)
    rows = np.random.default_rng(1).normal(size=(3, 8)).astype("f4")
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "row.npy", rows[1])

    whole = run(file, input=[tmp_path / "rows.npy"])
    alone = run(file, input=[tmp_path / "row.npy"])

    assert [Path(one.input).name for one in whole.answers] == ["rows.npy[0]", "rows.npy[1]", "rows.npy[2]"]
    assert whole.answers[1].outputs == alone.answers[0].outputs


def test_build_of_an_onnx_file_makes_what_can_be_made_and_says_what_the_rest_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    file = onnx_files.dense(tmp_path / "model.onnx", batch=1)
    np.savez(tmp_path / "s.npz", x=np.random.default_rng(1).normal(size=(64, 8)).astype("f4"))

    report = build(
        str(file),
        out=tmp_path / "made",
        options=SourceOptions(samples=tmp_path / "s.npz"),
        settings=Settings(launches=1),
        time_limit_s=0.01,
    )

    assert {one.format for one in report.artifacts} == {"onnx"}
    assert not report.failures
    assert any("edgekit tools install onnx2tf" in text for text in report.warnings)
