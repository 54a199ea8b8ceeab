"""`edgekit devices` and `edgekit profile` as a user types them, against the stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.flows import onnx_files
from tests.standins.cache import cache_folder, required
from tests.standins.jobs import DATA
from tests.standins.phone import running_phone
from tests.standins.pi import PI4, Pi, arm64_root, running_pi

from edgekit.core.bundle import SAMPLES, Artifact, Manifest, write_manifest
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_file

WEIGHTS = np.array([[1.0, -2.0, 0.5], [0.25, 0.0, -1.0]], dtype=np.float32)
OFFSET = np.array([0.5, -0.5], dtype=np.float32)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The linear model as .onnx and .tflite, with samples and what they must give."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    Samples({"x": x}).with_expected({"y": x @ WEIGHTS.T + OFFSET}).save(folder / SAMPLES)
    inputs, outputs = (TensorSpec("x", "float32", ("N", 3)),), (TensorSpec("y", "float32", ("N", 2)),)
    artifacts = []
    for kind in ("onnx", "tflite"):
        file = folder / f"{kind}-fp32.{kind}"
        file.write_bytes((DATA / f"linear.{kind}").read_bytes())
        digest, size = sha256_file(file), file.stat().st_size
        artifacts.append(Artifact(file.stem, file.name, kind, "fp32", size, digest, digest, inputs, outputs))
    spec = ModelSpec("linear", "other", inputs, outputs, sizes={"N": (1, 4)})
    write_manifest(folder, Manifest(spec, tuple(artifacts), {}, created="2026-01-01T00:00:00+00:00"))
    return folder


@pytest.fixture
def edgekit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`edgekit(*arguments)` as a process with an inventory of its own; gives exit code, output and complaints."""
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
    monkeypatch.setenv("EDGEKIT_CACHE", str(cache_folder() / "wheels"))

    def call(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "edgekit", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return call


@pytest.mark.device
def test_a_bundle_is_profiled_on_a_pi_beside_this_machine(pi: Pi, edgekit: Any, bundle: Path) -> None:
    edgekit("devices", "add", "pi", "--ssh", "pi", "--ssh-config", str(pi.config), "--timeout", "120")

    arguments = ("profile", str(bundle), "--target", "pi,local", "--launches", "1", "--time-limit", "0.02", "--json")
    report = json.loads(edgekit(*arguments))

    assert report["verdict"] == "pass"
    on_pi = [one for one in report["latency"] if one["target"] == "pi"]
    assert {one["artifact"] for one in on_pi} == {"onnx-fp32", "tflite-fp32"}
    for one in on_pi:
        assert one["trust"]["grade"] == "E"
        assert one["quantiles"] == {}
        assert one["memory"]["value"] is None
    assert {check["where"] for check in report["parity"]} == {"pi", "local"}
    assert {check["verdict"] for check in report["parity"]} == {"pass"}
    assert report["facts"]["pi"]["emulated"] is True
    assert report["facts"]["pi"]["cpu"] == "Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)"


@pytest.mark.device
def test_a_file_with_external_data_is_profiled_and_run_on_a_pi(pi: Pi, edgekit: Any, tmp_path: Path) -> None:
    edgekit("devices", "add", "pi", "--ssh", "pi", "--ssh-config", str(pi.config), "--timeout", "120")
    onnx_files.dense(tmp_path / "net.onnx", batch=1, external="data.bin")

    profile = "profile", "net.onnx", "--target", "pi", "--launches", "1", "--time-limit", "0.02", "--json"
    report = json.loads(edgekit(*profile))
    run = "run", "net.onnx", "--input", "random:0", "--json", "--target"
    there, here = (json.loads(edgekit(*run, target)) for target in ("pi", "local"))

    assert [one["target"] for one in report["latency"]] == ["pi"]
    np.testing.assert_allclose(outputs_in(there), outputs_in(here), rtol=1e-6)


def outputs_in(answer: Any) -> Any:
    """The numbers of the one output of a run."""
    return np.array(answer["answers"][0]["outputs"]["y"])


@pytest.mark.device
def test_a_new_pi_is_added_checked_and_removed(edgekit: Any) -> None:
    with required(), running_pi(PI4) as pi:
        assert "added" in edgekit("devices", "add", "pi4", "--ssh", "pi", "--ssh-config", str(pi.config))
        assert "pi4" in edgekit("devices", "list")
        document = subprocess.run(
            [sys.executable, "-m", "edgekit", "devices", "check", "pi4", "--json"],
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert document.returncode == 3
        states = {one["name"]: one for one in json.loads(document.stdout)["checks"]}
        assert states["architecture"]["found"] == "aarch64"
        assert states["runtime"]["mend"] == "edgekit devices prepare pi4"
        edgekit("devices", "clean", "pi4")
        assert list(pi.home.rglob("*")) == []
    edgekit("devices", "remove", "pi4")
    assert "pi4" not in edgekit("devices", "list")
    assert "Unknown device 'pi4'" in edgekit("devices", "check", "pi4", code=2)


@pytest.mark.device
def test_a_pi_with_little_space_is_offered_onnx_runtime_alone_and_runs_it(edgekit: Any, bundle: Path) -> None:
    with required(), running_pi(PI4, disk="100m") as pi:
        edgekit("devices", "add", "pi", "--ssh", "pi", "--ssh-config", str(pi.config), "--timeout", "120")
        offered = edgekit("devices", "prepare", "pi", code=3)
        assert "edgekit devices prepare pi --backend onnxruntime" in offered
        assert list(pi.home.rglob("site*")) == []

        said = edgekit("devices", "prepare", "pi", "--backend", "onnxruntime")
        assert "'pi' is ready: onnxruntime" in said
        arguments = ("--target", "pi", "--artifact", "onnx-fp32", "--launches", "1", "--time-limit", "0.02", "--json")
        report = json.loads(edgekit("profile", str(bundle), *arguments))

    assert report["verdict"] == "pass"


@pytest.mark.device
def test_a_phone_is_prepared_and_profiled(edgekit: Any, bundle: Path) -> None:
    with required(), running_phone() as phone:
        edgekit("devices", "add", "phone", "--adb", phone.serial, "--port", str(phone.server_port))
        said = edgekit("devices", "prepare", "phone", "--libraries", str(arm64_root()))
        assert "'phone' is ready: onnxruntime" in said

        arguments = ("--target", "phone/onnxruntime", "--artifact", "onnx-fp32", "--launches", "1", "--json")
        report = json.loads(edgekit("profile", str(bundle), *arguments, "--time-limit", "0.02"))

    assert report["verdict"] == "pass"
    assert [one["trust"]["grade"] for one in report["latency"]] == ["E"]


@pytest.mark.browser
def test_a_browser_is_profiled_with_a_trust_of_c(
    edgekit: Any, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.devices.web.test_browser import browser

    monkeypatch.setenv("EDGEKIT_CACHE", str(cache_folder()))
    with required():
        edgekit("devices", "add", "phone", "--web", "127.0.0.1")
        edgekit("devices", "prepare", "phone")
    command = [
        sys.executable,
        "-m",
        "edgekit",
        "profile",
        str(bundle),
        "--target",
        "phone",
        "--launches",
        "1",
        "--json",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    assert process.stderr is not None
    url = next(line.split()[1] for line in process.stderr if line.startswith("Open "))
    drained = threading.Thread(target=process.stderr.read)
    drained.start()
    with browser(tmp_path, url):
        report = json.loads(process.stdout.read())
    drained.join()
    process.stderr.close()
    process.stdout.close()

    assert process.wait() == 0
    assert {one["backend"] for one in report["latency"]} == {"ort-web", "litert-js"}
    assert {one["trust"]["grade"] for one in report["latency"]} == {"C"}
    assert {check["verdict"] for check in report["parity"]} == {"pass"}
