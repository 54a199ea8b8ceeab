"""ONNX files with external data: normal files for every command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.flows import onnx_files
from tests.flows.deploying.small_bundles import small_bundle
from tests.standins.local_shell import LocalShell

from edgekit.core.errors import ModelUnreadable, Refused, UserError
from edgekit.core.reports.bundle import FileReport
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Silent
from edgekit.devices.remote.shell_device import Runners, ShellDevice
from edgekit.flows.deploy import program_order
from edgekit.flows.history import accept_order
from edgekit.flows.init import init_order
from edgekit.flows.inspect import inspect
from edgekit.flows.opening import devices, external_data
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.opening.external_data import copy_model, refuse_elsewhere, self_contained
from edgekit.flows.profile import profile
from edgekit.runtime.backends.onnxruntime import OnnxRuntime
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """A model whose weight is in `data.bin`, with a batch of one."""
    return onnx_files.dense(tmp_path / "net.onnx", batch=1, external="data.bin")


def outputs_of(path: Path) -> list[np.ndarray]:
    feed = {"x": np.arange(8, dtype=np.float32)[None]}
    with OnnxRuntime().open(path, {}, None) as session:
        return list(session.run(feed).values())


def test_the_one_file_holds_the_data_and_gives_the_same_outputs(apart: Path, tmp_path: Path) -> None:
    whole = onnx_files.dense(tmp_path / "whole.onnx", batch=1)

    with self_contained(apart) as file:
        assert file.parent != apart.parent
        assert file.name == apart.name
        onnx.checker.check_model(str(file), full_check=True)
        np.testing.assert_array_equal(outputs_of(file), outputs_of(whole))

    assert not file.exists()


def test_a_file_without_external_data_is_itself(tmp_path: Path) -> None:
    path = onnx_files.dense(tmp_path / "location.onnx")

    with self_contained(path) as file:
        assert file == path


def test_data_in_a_subgraph_and_at_an_offset_is_found(tmp_path: Path) -> None:
    weights = np.arange(64, dtype=np.float32)
    (tmp_path / "sub.bin").write_bytes(weights.tobytes())
    path = tmp_path / "nested.onnx"
    onnx.save(branching(), str(path))

    with self_contained(path) as file:
        (branch, _) = (one.g for one in onnx.load(str(file), load_external_data=False).graph.node[0].attribute)
        constant = branch.node[0].attribute[0].t

    assert not constant.external_data
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(constant), weights[8:12])


def branching() -> onnx.ModelProto:
    """A model whose branch has a constant in `sub.bin`, sixteen bytes from byte 32 on."""
    constant = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[4])
    constant.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "sub.bin"), ("offset", "32"), ("length", "16")):
        constant.external_data.add(key=key, value=value)
    result = onnx_files.tensor("y", [4])
    branch = helper.make_graph([helper.make_node("Constant", [], ["y"], value=constant)], "branch", [], [result])
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    return onnx_files.model([node], [onnx_files.tensor("x", [], TensorProto.BOOL)], [result])


def test_the_checksum_covers_the_data(apart: Path) -> None:
    with opened(apart) as before:
        first = before.artifacts[0].sha256
    data = apart.with_name("data.bin")
    data.write_bytes(data.read_bytes()[::-1])

    with opened(apart) as after:
        assert after.artifacts[0].sha256 != first
        assert after.artifacts[0].size_bytes > apart.stat().st_size


def test_inspect_counts_the_data_and_its_checksum(apart: Path) -> None:
    found = inspect(apart)

    assert isinstance(found, FileReport)
    assert found.size_bytes >= apart.stat().st_size - 64 + 128
    data = apart.with_name("data.bin")
    data.write_bytes(data.read_bytes()[::-1])
    assert inspect(apart).sha256 != found.sha256  # type: ignore[union-attr]  # the same kind of report


def test_a_profile_measures_and_explains_it(apart: Path) -> None:
    report = profile(apart, launches=1, time_limit_s=0.02)

    assert [one.artifact for one in report.latency] == ["net"]


@pytest.mark.parametrize("place", ["../data.bin", "/etc/hostname", "link.bin"])
def test_data_outside_the_folder_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    source = onnx_files.dense(tmp_path / "inside" / "net.onnx", batch=1, external=place)
    (tmp_path / "data.bin").write_bytes(bytes(128))
    (tmp_path / "inside" / "link.bin").symlink_to(tmp_path / "data.bin")

    with pytest.raises(Refused) as caught, opened(source):
        pass

    assert caught.value.code == "external-path"


def test_missing_and_short_data_are_said(apart: Path) -> None:
    data = apart.with_name("data.bin")
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(ModelUnreadable, match="too short for the weights"), opened(apart):
        pass

    data.unlink()
    missing = r"its weights in 'data\.bin', which is not in the same folder"
    with pytest.raises(ModelUnreadable, match=missing), opened(apart):
        pass


def field(number: int, content: bytes) -> bytes:
    size, head = len(content), [number << 3 | 2]
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size]) + content


def tensor(**entries: str) -> bytes:
    """A TensorProto with external data."""
    pairs = (field(1, key.encode()) + field(2, value.encode()) for key, value in entries.items())
    return b"".join(field(13, pair) for pair in pairs)


def graphs(levels: int) -> bytes:
    """A tensor in a graph in an attribute in a node in a graph, and so on."""
    content = field(5, tensor(location="data.bin"))
    for _ in range(levels):
        content = field(1, field(5, field(6, content)))
    return content


@pytest.mark.parametrize(
    "content",
    [field(7, field(5, tensor(location="data.bin", offset="abc"))), field(7, graphs(2000))],
    ids=["an offset that is no number", "graphs in graphs"],
)
def test_damaged_external_data_is_said_by_the_backend(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    (tmp_path / "data.bin").write_bytes(bytes(16))

    with pytest.raises(ModelUnreadable), opened(path):
        pass


def test_what_one_file_cannot_hold_runs_here_and_is_refused_elsewhere(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_data, "MAX_BYTES", 100)

    with opened(apart) as found:
        assert found.files["net"] == apart
        with pytest.raises(UserError, match="'pi5' can receive"):
            refuse_elsewhere(found.files["net"], "'pi5'")


def test_a_baseline_has_the_data_inside(apart: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "edgekit-baseline" / "net.onnx"
    with opened(apart) as found:
        before = found.artifacts

    with init_order(tmp_path) as order:
        order.run(Silent())
    with opened(baseline) as found:
        assert found.artifacts == before
    baseline.unlink()
    with accept_order(tmp_path / "edgekit.toml", why="first") as accepting:
        accepting.run(Silent())

    with opened(baseline) as found:
        assert found.artifacts == before
    assert [one.name for one in baseline.parent.iterdir()] == ["net.onnx"]


def test_data_that_one_file_cannot_hold_is_copied_too(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_data, "MAX_BYTES", 100)
    copy = tmp_path / "copies" / "net.onnx"
    copy.parent.mkdir()

    copy_model(apart, copy)

    assert sorted(one.name for one in copy.parent.iterdir()) == ["data.bin", "net.onnx"]
    np.testing.assert_array_equal(outputs_of(copy), outputs_of(apart))


def test_a_bundle_of_another_tool_is_deployed_and_sent_with_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = small_bundle(tmp_path / "bundle", external="onnx-fp32.onnx.data")
    size = (bundle / "onnx-fp32.onnx.data").stat().st_size
    home = tmp_path / "home"
    home.mkdir()
    shell = LocalShell(home)
    monkeypatch.setattr(devices, "open_device", lambda name: ShellDevice(shell, Runners(PYTHON_RUNNER, C_RUNNERS)))

    report = profile(bundle, target="here", launches=1, time_limit_s=0.01)
    with program_order(bundle, language="c", out=tmp_path / "program") as order:
        order.run(Silent())

    assert [one.verdict for one in report.parity] == ["pass"]
    (artifact,) = report.artifacts
    model = tmp_path / "program" / "model.onnx"
    assert artifact.size_bytes == model.stat().st_size > size
    assert artifact.sha256 == sha256_file(model)
    assert len(onnx.load(str(model)).graph.initializer[0].raw_data) == size


def test_a_program_of_data_that_one_file_cannot_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = small_bundle(tmp_path / "bundle", external="onnx-fp32.onnx.data")
    monkeypatch.setattr(external_data, "MAX_BYTES", 100)

    with (
        program_order(bundle, language="python", out=tmp_path / "program") as order,
        pytest.raises(UserError, match="a program can receive"),
    ):
        order.run(Silent())

    assert not (tmp_path / "program").exists()
