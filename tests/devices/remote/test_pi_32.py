"""A 32-bit Raspberry Pi: an emulated armhf system behind a real sshd."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.standins.cache import cache_folder, required
from tests.standins.jobs import Y, job_of
from tests.standins.pi import PI4, running_pi

from edgekit.core.errors import DeviceError, UserError
from edgekit.core.reports.setup.devices import OK
from edgekit.core.samples import read_arrays
from edgekit.devices.remote import engines
from edgekit.devices.remote.readiness import check
from edgekit.devices.remote.shell_device import Runners, ShellDevice
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER

pytestmark = pytest.mark.device

TIMEOUT_S = 120
RUNNERS = Runners(PYTHON_RUNNER, C_RUNNERS)


def test_a_32_bit_pi_is_prepared_and_runs_tflite_with_the_backend_that_it_has(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    tflite, onnx = job_of("linear.tflite", tmp_path / "a"), job_of("linear.onnx", tmp_path / "b")
    litert = msgspec.structs.replace(job_of("linear.tflite", tmp_path / "c"), backend="litert")
    with required(), running_pi(PI4, bits=32) as pi, pi.shell() as shell:
        said = engines.prepare(shell, cache_folder() / "wheels")
        found = {one.name: one for one in check(shell, C_RUNNERS)}
        with ShellDevice(shell, RUNNERS, timeout_s=TIMEOUT_S) as device:
            result = device.measure(tflite)
            for job, missing in ((onnx, "ONNX Runtime"), (litert, "LiteRT")):
                with pytest.raises(DeviceError, match=rf"32-bit system \(armv7l\).* no {missing}") as caught:
                    device.measure(job)
                assert "--artifact tflite-fp32" in caught.value.hint

    assert said.startswith("tflite-runtime 2.14")
    assert (found["runtime"].state, found["architecture"].state) == (OK, "warning")
    assert result.backend == "tflite-runtime"
    np.testing.assert_array_equal(read_arrays(Path(tflite.outputs), UserError)["0:y"], Y)
