"""Peak memory and scheduling."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgekit.core.job import Job
from edgekit.core.samples import write_arrays
from edgekit.core.system.files import sha256_file
from edgekit.devices.remote.array_records import packed
from edgekit.runtime.memory import involuntary_switches, peak_memory_bytes, reset_peak
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER

PROGRAM = """
from edgekit.runtime.memory import peak_memory_bytes, reset_peak
big = bytearray(80_000_000)
high = peak_memory_bytes()
del big
assert reset_peak()
low = peak_memory_bytes()
again = bytearray(40_000_000)
print(high, low, peak_memory_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_the_peak_starts_anew_after_a_reset() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    high, low, after = map(int, done.stdout.split())

    assert high - low > 60_000_000
    assert 30_000_000 < after - low < 60_000_000


def test_the_peak_is_read_from_the_status_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmPeak:\t  999 kB\nVmHWM:\t   31234 kB\n")

    assert peak_memory_bytes(tmp_path) == 31234 * 1024


def test_without_proc_the_usage_of_the_process_is_taken(tmp_path: Path) -> None:
    assert peak_memory_bytes(tmp_path / "none") == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert not reset_peak(tmp_path / "none")


def test_switches_are_counted() -> None:
    before = involuntary_switches()

    assert before is not None
    assert (involuntary_switches() or 0) >= before


KEPT = """
import contextlib, ctypes, re, sys
from edgekit.runtime.memory import freed_at_once

library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

def block(size=8 << 20):
    place = library.malloc(size)
    ctypes.memset(place, 1, size)
    return place

with freed_at_once() if sys.argv[1] == "freed" else contextlib.nullcontext():
    library.free(block())
    before = resident()
    large, small = block(), block(1000)
    library.free(large)
    print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps large blocks that were freed")
def test_a_large_block_that_was_freed_is_no_memory_of_the_model() -> None:
    kept, freed = (
        int(subprocess.run([sys.executable, "-c", KEPT, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "freed")
    )

    assert kept > 7 << 20
    assert freed < 1 << 20


WIDTH, LAYERS = 512, 12
LENGTHS = (1, 20, 60, 150)
# Equal files had peaks that were 2.5 MB apart (Python) and 4 MB (C) with their freed blocks, and 0.4 MB without.
MOST_APART = 1_500_000


def deep_model(path: Path) -> None:
    """Twelve layers with weights of 1 MB each."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=(WIDTH, WIDTH)).astype(np.float32), f"w{number}")
        for number in range(LAYERS)
    ]
    nodes = [helper.make_node("MatMul", [f"h{number}", f"w{number}"], [f"h{number + 1}"]) for number in range(LAYERS)]
    ends = [helper.make_tensor_value_info(name, 1, [1, WIDTH]) for name in ("h0", f"h{LAYERS}")]
    graph = helper.make_graph(nodes, "deep", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps large blocks that were freed")
def test_equal_files_have_equal_peaks_in_the_runners_of_devices(tmp_path: Path) -> None:
    """The length of a path moves the addresses, as anything else does that is no property of the model."""
    library = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.1*"))
    feed = np.ones((1, WIDTH), np.float32)
    c_runner = [str(C_RUNNERS[os.uname().machine]), "-l", str(library), "-T", "0", "-n", "3", "-x", "3"]
    commands = {"Python": [sys.executable, str(PYTHON_RUNNER)], "C": c_runner}
    peaks: dict[str, list[int]] = {name: [] for name in commands}
    for length in LENGTHS:
        folder = tmp_path / ("x" * length)
        folder.mkdir()
        model = folder / "m.onnx"
        deep_model(model)
        (folder / "feeds").write_bytes(packed({"0:h0": feed}))
        write_arrays(folder / "feeds.npz", {"0:h0": feed})
        job = Job(artifact=str(model), sha256=sha256_file(model), format="onnx", feeds="feeds.npz", time_limit_s=0.0)
        few = msgspec.structs.replace(job, min_values=3, max_values=3)
        (folder / "job.json").write_bytes(msgspec.json.encode(few))
        for name, command in commands.items():
            files = [str(model), "feeds"] if name == "C" else ["job.json"]
            done = subprocess.run([*command, *files], cwd=folder, capture_output=True, check=True)
            peaks[name].append(json.loads(done.stdout)["peak_memory_bytes"])

    apart = {name: max(found) - min(found) for name, found in peaks.items()}
    assert all(one < MOST_APART for one in apart.values()), peaks
    assert all(min(found) > 4 * LAYERS * WIDTH**2 for found in peaks.values())
