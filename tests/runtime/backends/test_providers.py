"""A provider must prove that it runs the model."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from tests.standins.jobs import job_of

from edgekit.core.errors import ModelUnreadable, ProviderRefused, UserError
from edgekit.core.samples import Feed
from edgekit.runtime.backends import onnxruntime as engines
from edgekit.runtime.backends import providers
from edgekit.runtime.backends.onnxruntime import OnnxRuntime, OnnxSession
from edgekit.runtime.backends.providers import Placement, read_placement, require
from edgekit.runtime.gpu import read_gpus
from edgekit.runtime.launch import launch

GPU_BUILD = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def build(*names: str) -> Any:
    return SimpleNamespace(get_available_providers=lambda: list(names), __version__="1.31.1")


def event(provider: str, microseconds: int, op: str = "Conv") -> dict[str, Any]:
    args = {"provider": f"{provider}ExecutionProvider", "op_name": op}
    return {"cat": "Node", "name": f"{op}_kernel_time", "dur": microseconds, "args": args}


def test_a_provider_is_called_by_its_short_name() -> None:
    assert require("cuda", build(*GPU_BUILD)) == "CUDAExecutionProvider"
    assert providers.short_name("OpenVINOExecutionProvider") == "openvino"


def test_a_provider_that_the_build_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(ProviderRefused) as caught:
        require("cuda", build("AzureExecutionProvider", "CPUExecutionProvider"))

    assert caught.value.message == "The installed onnxruntime 1.31.1 does not support provider 'cuda', only cpu."
    assert caught.value.hint == 'pip uninstall -y onnxruntime && pip install "onnxruntime-gpu>=1.20.1"'
    assert caught.value.exit_code == 3


OTHER_BUILD = "pip uninstall -y onnxruntime && pip install "


@pytest.mark.parametrize(
    ("provider", "hint"),
    [
        ("tensorrt", f'{OTHER_BUILD}"onnxruntime-gpu>=1.20.1"'),
        ("openvino", f"{OTHER_BUILD}onnxruntime-openvino"),
        ("webgpu", f"{OTHER_BUILD}onnxruntime-webgpu"),
        ("qnn", f"{OTHER_BUILD}onnxruntime-qnn"),
        ("dml", f"{OTHER_BUILD}onnxruntime-directml"),
        ("migraphx", f"{OTHER_BUILD}onnxruntime-migraphx"),
        ("coreml", 'pip install "onnxruntime>=1.20.1"'),
        *((name, "--target local@provider=cpu") for name in ("xnnpack", "nnapi", "acl")),
    ],
)
def test_a_provider_of_another_build_names_the_package_that_has_it(provider: str, hint: str) -> None:
    with pytest.raises(ProviderRefused) as caught:
        require(provider, build("CPUExecutionProvider", "XExecutionProvider", "AzureExecutionProvider"))

    assert caught.value.message.endswith(f"does not support provider '{provider}', only cpu, x.")
    assert caught.value.hint == hint


def test_a_build_without_the_cpu_is_installed_again() -> None:
    with pytest.raises(ProviderRefused) as caught:
        require("cpu", build("XExecutionProvider"))

    assert caught.value.hint == 'pip install "onnxruntime>=1.20.1"'


def test_a_provider_that_only_the_build_knows_is_taken_as_it_is() -> None:
    assert require("new", build("NewExecutionProvider")) == "NewExecutionProvider"
    assert require("azure", build("AzureExecutionProvider")) == "AzureExecutionProvider"
    with pytest.raises(UserError) as caught:
        require("zzz", build("NewExecutionProvider", "AzureExecutionProvider"))

    assert caught.value.message.startswith("Unknown provider 'zzz'. Known: acl, ")
    assert ", new, " in caught.value.message
    assert "azure" not in caught.value.message
    assert caught.value.hint == "--target local@provider=cpu"


def test_the_order_names_each_provider_once_and_only_those_of_the_build() -> None:
    assert providers.order("CPUExecutionProvider", GPU_BUILD) == ["CPUExecutionProvider"]
    assert providers.order("TensorrtExecutionProvider", GPU_BUILD[::2]) == GPU_BUILD[::2]
    assert providers.order("OpenVINOExecutionProvider", GPU_BUILD) == ["CPUExecutionProvider"]


def test_an_unknown_provider_is_the_callers_error_and_offers_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'cuda'"):
        require("cudda", build(*GPU_BUILD))


def test_the_cpu_takes_what_the_provider_does_not_know() -> None:
    assert providers.order("CUDAExecutionProvider", GPU_BUILD) == GPU_BUILD[1:]
    assert providers.order("TensorrtExecutionProvider", GPU_BUILD) == GPU_BUILD


@pytest.mark.parametrize(
    ("events", "taken"),
    [
        ([event("CUDA", 90), event("CPU", 10)], True),
        ([event("CUDA", 90), event("CPU", 1), event("CPU", 1), event("CPU", 1)], True),
        ([event("CUDA", 1), event("CUDA", 1), event("CPU", 90)], True),
        ([event("CUDA", 10), event("CPU", 60), event("CPU", 60)], False),
        ([event("CPU", 60)], False),
        ([event("CUDA", 90, "MemcpyFromHost"), event("CPU", 60)], False),
        ([], False),
    ],
)
def test_half_the_nodes_or_half_the_time_must_be_on_the_provider(
    tmp_path: Path, events: list[dict[str, Any]], taken: bool
) -> None:
    profile = tmp_path / "profile.json"
    other = {"cat": "Session", "name": "model_loading", "dur": 999, "args": {}}
    profile.write_text(json.dumps([other, *events]))

    assert read_placement(profile, "cuda").is_taken is taken


def test_a_placement_counts_kernels_and_their_seconds(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    ignored = [
        {**event("CUDA", 500), "cat": "Session"},
        {**event("CUDA", 500), "name": "Conv_fence_before"},
        {**event("CUDA", 500), "args": {"op_name": "Conv"}},
        event("CPU", 500, "MemcpyToHost"),
    ]
    unnamed = {**event("CUDA", 20), "args": {"provider": "CUDAExecutionProvider"}}
    profile.write_text(json.dumps([*ignored, event("CUDA", 30), unnamed, event("CPU", 150)]))

    found = read_placement(profile, "cuda")

    assert (found.provider, found.nodes, found.nodes_on) == ("cuda", 3, 2)
    assert [found.seconds, found.seconds_on] == pytest.approx([200e-6, 50e-6], rel=1e-9)
    assert [found.node_share, found.time_share] == pytest.approx([2 / 3, 0.25])


@pytest.mark.parametrize(
    ("nodes", "on", "seconds", "seconds_on", "taken"),
    [
        (2, 1, 1.0, 0.0, True),
        (3, 1, 1.0, 0.5, True),
        (3, 1, 1.0, 0.49, False),
        (2, 0, 1.0, 0.9, False),
        (0, 0, 0.0, 0.0, False),
    ],
)
def test_exactly_half_is_enough(nodes: int, on: int, seconds: float, seconds_on: float, taken: bool) -> None:
    assert Placement("cuda", nodes, on, seconds, seconds_on).is_taken is taken


def test_a_placement_of_nothing_has_no_share() -> None:
    nothing = Placement("cuda", 0, 0, 0.0, 0.0)

    assert (nothing.node_share, nothing.time_share) == (0.0, 0.0)


def test_a_placement_says_nodes_and_time() -> None:
    assert str(Placement("cuda", 4, 3, 2.0, 1.9)) == "cuda ran 3 of 4 nodes, 95 % of the node time"


LOG = """\x1b[1;31m2026-11-21 04:23:05.68 [E:onnxruntime:Default, bridge.cc:2458 operator()] /src/bridge.cc:2043 \
onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library \
libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file
\x1b[m
\x1b[0;93m2026-11-21 04:23:05.68 [W:onnxruntime:Default, s.cc:1 Create] Failed to create CUDAExecutionProvider.\x1b[m
"""


def test_what_the_engine_wrote_is_quoted_without_its_decoration() -> None:
    error = providers.refused("cuda", "ONNX Runtime chose cpu", LOG)

    assert error.message.splitlines() == [
        "Provider 'cuda' did not run the model: ONNX Runtime chose cpu.",
        "  Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared "
        "object file",
        "  Failed to create CUDAExecutionProvider.",
    ]


def engine(data: Path, folder: Path) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.enable_profiling = True
    settings.profile_file_prefix = str(folder / "run")
    return onnxruntime.InferenceSession(str(data / "linear.onnx"), settings, providers=["CPUExecutionProvider"])


class WithoutLibraries(onnxruntime.InferenceSession):
    """ONNX Runtime where the libraries of CUDA are missing: it then opens the model on the CPU unless told not to."""

    def _create_inference_session(self, names: Any, *rest: Any) -> None:
        if "CUDAExecutionProvider" in names:
            raise RuntimeError("libcublas.so is missing")
        super()._create_inference_session(names, *rest)


def test_a_provider_that_does_not_start_is_an_error_and_no_session_on_the_cpu(data: Path) -> None:
    ort = SimpleNamespace(InferenceSession=WithoutLibraries)
    settings = onnxruntime.SessionOptions()

    with pytest.raises(ModelUnreadable, match="libcublas"):
        engines._created(ort, data / "linear.onnx", settings, GPU_BUILD[1:])
    assert engines._created(ort, data / "linear.onnx", settings, GPU_BUILD[2:]).get_providers() == GPU_BUILD[2:]


def test_the_first_run_shows_that_the_provider_ran_the_model(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    folder.mkdir()
    session = OnnxSession(engine(data, folder), "cpu", None, folder)

    session.run({"x": np.ones((1, 3), np.float32)})

    assert session.placement is not None
    assert session.placement.nodes == session.placement.nodes_on > 0
    assert not folder.exists()


def test_the_first_run_shows_that_another_provider_ran_the_model(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    folder.mkdir()
    session = OnnxSession(engine(data, folder), "cuda", None, folder)

    with pytest.raises(ProviderRefused, match=r"Provider 'cuda' did not run the model: cuda ran 0 of \d+ nodes"):
        session.run({"x": np.ones((1, 3), np.float32)})

    assert not folder.exists()
    with pytest.raises(UserError, match="closed"):
        session.run({"x": np.ones((1, 3), np.float32)})


def test_several_threads_may_run_first(data: Path, tmp_path: Path) -> None:
    for attempt in range(10):
        folder = tmp_path / f"profile{attempt}"
        folder.mkdir()
        session = OnnxSession(engine(data, folder), "cpu", None, folder)
        together = threading.Barrier(4)

        def run(session: OnnxSession = session, together: threading.Barrier = together) -> Feed:
            together.wait()
            return session.run({"x": np.ones((1, 3), np.float32)})

        with ThreadPoolExecutor(4) as pool:
            outputs = [future.result() for future in [pool.submit(run) for _ in range(4)]]

        assert all(output["y"].tolist() == [[0.0, -1.25]] for output in outputs)
        assert session.placement is not None


def test_a_session_that_never_ran_leaves_no_profile(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    folder.mkdir()

    OnnxSession(engine(data, folder), "cuda", None, folder).close()

    assert not folder.exists()


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this build has CUDA")
def test_cuda_is_refused_where_the_build_has_none(data: Path) -> None:
    with pytest.raises(ProviderRefused, match=r"The installed onnxruntime .* does not support provider 'cuda'"):
        OnnxRuntime().open(data / "linear.onnx", {"provider": "cuda"})


def test_a_build_that_claims_cuda_and_runs_on_the_cpu_is_found_out(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # onnxruntime-gpu lists CUDA without a driver, writes the reason to stderr and runs on the CPU without an exception.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: GPU_BUILD[1:])

    with pytest.warns(UserWarning, match="not in available provider"), pytest.raises(ProviderRefused) as caught:
        OnnxRuntime().open(data / "linear.onnx", {"provider": "cuda"})

    assert "ONNX Runtime chose cpu" in caught.value.message
    assert caught.value.hint == "nvidia-smi"


@pytest.mark.parametrize(
    ("provider", "said", "hint"),
    [
        ("cuda", "libcublasLt.so.13: cannot open shared object file", 'pip install "onnxruntime-gpu[cuda,cudnn]"'),
        (
            "tensorrt",
            "libcublas.so.13: cannot open shared object file: No such file",
            'pip install "onnxruntime-gpu[cuda,cudnn]" tensorrt',
        ),
        ("cuda", "CUDA failure 100: no CUDA-capable device is detected", "nvidia-smi"),
        ("openvino", "", "edgekit doctor"),
    ],
)
def test_the_hint_follows_from_what_the_engine_said(provider: str, said: str, hint: str) -> None:
    assert providers.refused(provider, "ONNX Runtime chose cpu", said).hint == hint


def test_three_lines_of_the_log_are_quoted_and_the_reason_is_one_sentence() -> None:
    error = providers.refused("openvino", "\x1b[31mfirst\n\n  second.\x1b[m", "a\nb\n\nc\nd")

    assert error.message == "Provider 'openvino' did not run the model: first second.\n  a\n  b\n  c"
    assert isinstance(error, ProviderRefused)
    assert providers.refused("cuda", "It chose X.", "").message == "Provider 'cuda' did not run the model: It chose X."


def test_places_in_the_engines_source_are_left_out() -> None:
    raised = (
        "/onnxruntime_src/onnxruntime/python/onnxruntime_pybind_state.cc:729 void onnxruntime::python::"
        "RegisterTensorRTPluginsAsCustomOps(PySessionOptions&, const onnxruntime::ProviderOptions&) "
        "Please install TensorRT libraries as mentioned in the GPU requirements page."
    )

    message = providers.refused("tensorrt", raised, "").message

    assert message.startswith("Provider 'tensorrt' did not run the model: Please install TensorRT libraries")


@pytest.mark.gpu
@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA build")
@pytest.mark.parametrize("bound", [False, True])
def test_cuda_answers_as_the_cpu_does(data: Path, bound: bool) -> None:
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)

    with OnnxRuntime().open(data / "linear.onnx", {}) as cpu:
        expected = np.asarray(cpu.run({"x": x})["y"], np.float32)
    with OnnxRuntime().open(data / "linear.onnx", {"provider": "cuda"}) as session:
        feed = {"x": np.zeros_like(x)}
        call = session.bind(feed) if bound else lambda: session.run(feed)
        feed["x"][...] = x
        found = np.asarray(call()["y"], np.float32)

    assert session.provider == "cuda"
    assert session.placement is not None
    assert session.placement.is_taken
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(np.ptp(expected)))


@pytest.mark.gpu
@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA build")
def test_a_launch_on_cuda_tells_provider_share_and_first_run_apart(tmp_path: Path) -> None:
    result = launch(msgspec.structs.replace(job_of("linear.onnx", tmp_path), options={"provider": "cuda"}))

    assert result.provider == "cuda"
    assert any("of the node time" in note for note in result.notes)
    assert result.first_run_s > 0
    assert len(result.values) >= 3
    assert read_gpus()
