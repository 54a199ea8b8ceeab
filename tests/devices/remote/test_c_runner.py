"""What the C runner takes and what it refuses, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.devices.remote.test_shell import native_runner
from tests.flows import onnx_files
from tests.standins.jobs import job_of
from tests.standins.local_shell import LocalShell

from edgekit.core.errors import UserError
from edgekit.core.job import Job
from edgekit.core.samples import Array, read_arrays
from edgekit.core.system.files import sha256_file
from edgekit.devices.remote.launches import measure
from edgekit.runtime.portable import C_RUNNERS


def test_the_c_runner_takes_any_number_of_inputs_with_long_names(here: LocalShell, tmp_path: Path) -> None:
    names = [f"{'long' * 150}/{place}" for place in range(40)]
    path = onnx_files.sum_of(tmp_path / "sum.onnx", names)
    feeds: dict[str, Array] = {
        f"{feed}:{name}": np.full((1, 3), feed + 1, np.float32) for feed in range(8) for name in names
    }
    job = msgspec.structs.replace(
        job_of("linear.onnx", tmp_path, feeds=feeds), artifact=str(path), sha256=sha256_file(path)
    )

    measure(here, job, native_runner(here), timeout_s=60)

    got = read_arrays(Path(job.outputs), UserError)
    assert [float(got[f"{feed}:y"][0, 0]) for feed in range(8)] == [40.0 * (feed + 1) for feed in range(8)]


def test_an_option_that_the_c_runner_does_not_know_is_reported() -> None:
    program = C_RUNNERS[os.uname().machine]
    done = subprocess.run([str(program), "-z", "1"], capture_output=True, check=False)

    assert done.returncode == 2
    assert json.loads(done.stdout)["message"] == "The device's runner does not know the option '-z'."


def test_a_graph_level_that_does_not_exist_is_refused(here: LocalShell, linear_job: Job) -> None:
    job = msgspec.structs.replace(linear_job, options={"graph": "bsic"})

    with pytest.raises(UserError, match=r"value of option 'graph' 'bsic'\. Did you mean 'basic'"):
        measure(here, job, native_runner(here), timeout_s=60)
