"""What mutants found: each file was once a bug of edgekit, a wrong verdict, or too much memory."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from benchmarks.fuzz.bundle_kinds import signed
from benchmarks.fuzz.device_kinds import RESULT, Replies
from onnx import TensorProto, helper, numpy_helper
from tests.cli.conftest import Done
from tests.cli.conftest import edgekit as edgekit  # noqa: PLC0414 - a fixture
from tests.cli.conftest import quiet_home as quiet_home  # noqa: PLC0414 - a fixture
from tests.hostile.bundles import write_bundle
from tests.runtime.data.make import FLOAT32, INT32, Tflite
from tests.standins.jobs import job_of

from edgekit.core.errors import DeviceError, ModelUnreadable, Unreadable
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import ImageOutput, SeriesOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.processes import Finished
from edgekit.devices.remote import launches
from edgekit.devices.remote.runners import PythonRunner
from edgekit.export.onnx.contents import read_contents
from edgekit.export.programs.archive import copy_program
from edgekit.flows.opening.values import parse_values
from edgekit.runtime.portable import PYTHON_RUNNER
from edgekit.runtime.prediction import Prediction

Run = Callable[..., Done]
DATA = Path(__file__).parents[1] / "runtime/data"


def refused(done: Done, code: int = 5) -> str:
    assert done.code == code, done.err
    assert "bug in edgekit" not in done.err
    return done.err


def _model(**weight: Any) -> bytes:
    """A weight, fields of which are others, next to an operator."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["v"]), helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.ones((3, 2), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for name, value in weight.items():
        tensor = model.graph.initializer[0]
        getattr(tensor, name)[:] = value if isinstance(value, list) else [value]
    content: bytes = model.SerializeToString()
    return content


def test_weights_that_do_not_have_their_shape_are_told(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(_model(dims=[1, 16, 2, 5]))
    spec = ModelSpec("net", "regression", (TensorSpec("x", "float32", ("N", 3)),))

    with pytest.raises(ModelUnreadable, match="is a damaged or truncated ONNX model"):
        read_contents(tmp_path / "m.onnx", spec)


def test_weights_that_contradict_each_other_are_told_by_validate(edgekit: Run, quiet_home: Path) -> None:
    """ONNX Runtime takes a list of numbers that is shorter than the shape; the check for float16 does not."""
    model = onnx.load_model_from_string(_model())
    weight = model.graph.initializer.add(name="short", data_type=TensorProto.FLOAT16, dims=[2])
    weight.int32_data.append(1)
    Path("m.onnx").write_bytes(model.SerializeToString())
    Path("r.onnx").write_bytes(_model())

    refused(edgekit("validate", "m.onnx", "--reference", "r.onnx"))


@pytest.mark.parametrize("index", [4, 5])
def test_a_signature_of_tensors_that_are_not_there_is_told(edgekit: Run, quiet_home: Path, index: int) -> None:
    model = schema.ModelT.InitFromPackedBuf((DATA / "linear.tflite").read_bytes(), 0)
    tflite = Tflite()
    tflite.model = model
    model.signatureDefs[0].outputs[0].tensorIndex = index
    Path("m.tflite").write_bytes(tflite.bytes())

    assert edgekit("inspect", "m.tflite").code == 0
    for command in ("run m.tflite --input random:0", "compare m.tflite m.tflite --dry-run"):
        refused(edgekit(*command.split()))


def test_a_history_that_is_not_utf8_is_told_with_its_line(edgekit: Run, quiet_home: Path) -> None:
    Path("m.onnx").write_bytes((DATA / "linear.onnx").read_bytes())
    Path("edgekit.toml").write_text('[[check.models]]\npath = "m.onnx"\n')
    Path("edgekit-history.jsonl").write_bytes(b'{"kind": "run", "commit": "\xad"}\n{"kind": "run"}\n')

    assert "Line 1 of" in refused(edgekit("history", "show"))


@pytest.mark.parametrize("output", [ImageOutput(), SeriesOutput("a", 1.0)])
@pytest.mark.parametrize("given", [{}, {"y": np.array(1.0)}, {"y": np.array(["a"])}, {"y": np.zeros((0, 3))}])
def test_an_output_that_is_not_what_the_spec_describes_is_told(output: Any, given: Feed) -> None:
    spec = ModelSpec("net", "regression", (), (TensorSpec("y", "float32", ("N", 3)),), postprocessing=output)
    found = Prediction(given, spec)

    with pytest.raises(Unreadable, match="describes its output as"):
        _ = found.image if isinstance(output, ImageOutput) else found.curve


@pytest.mark.parametrize("shape", [(1, 3), (1, 2, 4, 4), (1, 1, 4), (1, 1, 1, 4, 4)])
def test_only_four_axes_and_one_or_three_colors_are_an_image(shape: tuple[int, ...]) -> None:
    spec = ModelSpec("net", "regression", (), (TensorSpec("y", "float32", ("N", 3)),), postprocessing=ImageOutput())

    with pytest.raises(Unreadable, match="as image"):
        _ = Prediction({"y": np.zeros(shape, np.float32)}, spec).image


def test_a_value_of_nested_lists_without_end_is_told() -> None:
    spec = ModelSpec("net", "regression", (TensorSpec("x", "float32", ("N",)),))

    with pytest.raises(Exception, match="expected a number"):
        parse_values(["x=" + 100_000 * "["], spec)


@pytest.mark.parametrize("states", [1, 3])
def test_a_device_reports_its_state_before_and_after_a_launch(states: int, tmp_path: Path) -> None:
    out = states * b"@@state\n@@end\n" + b"@@result\n" + json.dumps(RESULT).encode() + b"\n"
    runner = PythonRunner(PYTHON_RUNNER)

    with pytest.raises(DeviceError, match=f"reported {states} of its states"):
        launches.measure(Replies(Finished(0, out, "")), job_of("linear.onnx", tmp_path), runner, timeout_s=9.0)


def test_a_program_whose_parts_lie_outside_of_it_is_told(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("net/models/model.json", "{}")
    data = bytearray(content.getvalue())
    end = data.rfind(b"PK\5\6")
    for offset in (0, 1, 2**31, 2**32 - 2):
        data[end + 16 : end + 20] = struct.pack("<I", offset)
        (tmp_path / "m.pt2").write_bytes(data)

        with pytest.raises(ModelUnreadable):
            copy_program(tmp_path / "m.pt2", tmp_path / "out.pt2")


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def test_a_sound_whose_chunks_reach_beyond_its_end_is_told(edgekit: Run, quiet_home: Path) -> None:
    from edgekit.core.errors import UserError
    from edgekit.runtime.readers import read_wav

    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16))
    body = b"WAVE" + chunk(b"LIST", bytes(7), 2**31) + form + chunk(b"data", bytes(64))

    for size in (len(body), 20, 2**32 - 1):
        with pytest.raises(UserError, match="is not a wav file"):
            read_wav(b"RIFF" + struct.pack("<I", size) + body, "a.wav", rate=16000)


def test_a_model_of_other_sizes_than_its_bundle_is_told_by_deploy(edgekit: Run, quiet_home: Path) -> None:
    write_bundle(Path("bundle"), "x")
    model = onnx.load("bundle/onnx-fp32.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1000
    _replace(Path("bundle"), "onnx-fp32.onnx", model.SerializeToString())

    refused(edgekit("deploy", "bundle", "--for", "c", "--artifact", "onnx-fp32", "--out", "out"))


def _replace(bundle: Path, name: str, content: bytes) -> None:
    """Replace a file of a bundle, as its author would."""
    files = {path.name: path.read_bytes() for path in bundle.iterdir()} | {name: content}
    for file, data in signed(files).items():
        (bundle / file).write_bytes(data)


def test_a_table_with_a_cell_beyond_the_limit_is_told(tmp_path: Path) -> None:
    from edgekit.core.errors import UserError
    from edgekit.core.spec.input_kinds import SeriesInput
    from edgekit.runtime.readers import read_rows

    (tmp_path / "t.csv").write_text(f"a,b\n1,{200_000 * '9'}\n")

    with pytest.raises(UserError, match="is not a csv"):
        read_rows(tmp_path / "t.csv", SeriesInput(("a", "b"), 1))


def test_a_bundle_without_artifacts_is_a_comment_in_the_configuration(edgekit: Run, quiet_home: Path) -> None:
    write_bundle(Path("b"), "x")
    files = {path.name: path.read_bytes() for path in Path("b").iterdir()}
    document = {**json.loads(files["manifest.json"]), "artifacts": []}
    for name, content in signed(files, document).items():
        Path("b", name).write_bytes(content)

    done = edgekit("init")

    assert done.code == 0, done.err
    assert "# 'b' contains no artifact" in Path("edgekit.toml").read_text()


def test_complex_outputs_are_shown_as_two_parts(edgekit: Run, quiet_home: Path) -> None:
    tflite = Tflite()
    tensors = {
        "x": (FLOAT32, (1, 4)),
        "sizes": (INT32, (2,), tflite.constant(np.array([1, 4], np.int32))),
        "y": (schema.TensorType.COMPLEX64, (1, 3)),
    }
    operator: Any = (schema.BuiltinOperator.RFFT2D, ["x", "sizes"], ["y"], schema.Rfft2dOptionsT())
    tflite.subgraph(tensors, [operator], ["x"], ["y"], "serving_default")
    Path("m.tflite").write_bytes(tflite.bytes())
    given = [0.0, 1.0, 0.0, -1.0]

    shown = edgekit("run", "m.tflite", "--input", f"x=[{given}]")
    told = edgekit("run", "m.tflite", "--input", f"x=[{given}]", "--json")

    assert shown.code == 0, shown.err
    assert "y  [[[0.0,-0.0],[0.0,-2.0],[0.0,-0.0]]]" in shown.out
    values = np.array(json.loads(told.out)["answers"][0]["outputs"]["y"])
    np.testing.assert_allclose(values[..., 0] + 1j * values[..., 1], np.fft.rfft([given]), atol=1e-6)


def test_an_output_that_is_a_sparse_weight_is_told(edgekit: Run, quiet_home: Path) -> None:
    """Its type is that of a dense tensor, in the file as in ONNX Runtime, until it is computed."""
    model = onnx.load_model_from_string(_model())
    values, places = np.ones(2, np.float32), np.array([0, 3], np.int64)
    weight = helper.make_sparse_tensor(
        numpy_helper.from_array(values, "s"), numpy_helper.from_array(places, "places"), [2, 2]
    )
    model.graph.sparse_initializer.append(weight)
    model.graph.output.append(helper.make_tensor_value_info("s", TensorProto.FLOAT, [2, 2]))
    Path("m.onnx").write_bytes(model.SerializeToString())

    assert "'s' is a SparseTensor" in refused(edgekit("run", "m.onnx", "--input", "random:0"))
