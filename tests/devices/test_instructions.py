"""Instructions per inference: exact, where times under emulation mean nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.standins.cache import required
from tests.standins.counting import instructions
from tests.standins.pi import prepared_home

from edgekit.devices.remote.array_records import packed
from edgekit.runtime.portable import C_RUNNERS

pytestmark = [pytest.mark.device, pytest.mark.slow]

ROWS, DEPTH, COLUMNS = 8, 256, 256
RUNS = 10


def write_model(path: Path, dtype: str) -> None:
    """One matrix product: of floats, or of bytes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind, operator, result = {
        "float32": (TensorProto.FLOAT, "MatMul", TensorProto.FLOAT),
        "uint8": (TensorProto.UINT8, "MatMulInteger", TensorProto.INT32),
    }[dtype]
    weights = np.random.default_rng(0).integers(-100, 100, (DEPTH, COLUMNS))
    weights = weights.astype(np.float32 if dtype == "float32" else np.int8)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", kind, [ROWS, DEPTH])],
        [helper.make_tensor_value_info("y", result, [ROWS, COLUMNS])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


def count(cpu: str, dtype: str, folder: Path) -> list[int]:
    """Instructions of each of ten runs of the C runner on `cpu`."""
    model, feeds = folder / f"{dtype}.onnx", folder / f"{dtype}.feeds"
    write_model(model, dtype)
    feeds.write_bytes(packed({"0:x": np.ones((ROWS, DEPTH), dtype)}))
    with required():
        library = next((prepared_home() / ".cache/edgekit").glob("site-*/onnxruntime/capi/libonnxruntime.so.*"))
        options = ["-l", str(library), "-T", "0.001", "-n", str(RUNS), "-x", str(RUNS)]
        return instructions(cpu, [str(C_RUNNERS["aarch64"]), *options, str(model), str(feeds)])


def test_every_run_takes_the_same_instructions(tmp_path: Path) -> None:
    counts = count("cortex-a76", "uint8", tmp_path)

    assert len(counts) == RUNS
    assert max(counts) - min(counts) <= 1e-4 * min(counts)


def test_the_dot_product_of_a_pi_5_shows_for_bytes_and_not_for_floats(tmp_path: Path) -> None:
    pi4, pi5 = (
        {dtype: float(np.median(count(cpu, dtype, tmp_path))) for dtype in ("uint8", "float32")}
        for cpu in ("cortex-a72", "cortex-a76")
    )

    assert pi4["uint8"] > 1.2 * pi5["uint8"]
    assert pi4["float32"] == pytest.approx(pi5["float32"], rel=0.01)
