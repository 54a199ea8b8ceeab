"""What an export costs: four artifacts with full validation against two plain scripts one after the other, interleaved.

    python -m benchmarks.export_time [--rounds 3] [--models cifar-resnet8,mobilenetv2]

The plain scripts are what one writes by hand: torch.onnx.export and onnxruntime.quantization, then litert-torch and
ai-edge-quantizer, on the same network and samples, and check nothing. Wall seconds, and the largest memory of any one
process; each export finds its cache empty. The figures are the larger of the two ratios of time, and the memory on
mobilenetv2 against that of the scripts. The load of the machine is printed: numbers of a busy one say little.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.figures.figure_rows import record
from benchmarks.matrix import untrained

from edgekit.core.statistics.intervals import ratio_interval
from edgekit.train.registry import MODELS

SAMPLES, CALIBRATION = 256, 128
# Reference model: where its network is, and the shape of one input.
NETWORKS = {
    "cifar-resnet8": ("edgekit.train.models.images.cifar_resnet8", (3, 32, 32)),
    "mobilenetv2": ("edgekit.train.models.images.mobilenetv2", (3, 224, 224)),
}

NET = """
from safetensors.torch import load_file
from {module} import build

def net():
    network = build().eval()
    network.load_state_dict(load_file("weights.safetensors"))
    return network
"""

PLAIN_ONNX = """
import numpy as np, torch, net
from onnxruntime import quantization as q
from onnxruntime.quantization.shape_inference import quant_pre_process

x = np.load("samples.npz")["x"]
module = net.net()
dim = torch.export.Dim("N")
with torch.no_grad():
    torch.onnx.export(module, (torch.from_numpy(x[:2]),), "plain.onnx", dynamo=True, opset_version=18,
                      external_data=False, dynamic_shapes=({0: dim},), input_names=["x"], verbose=False)

class Reader(q.CalibrationDataReader):
    def __init__(self):
        self.rows = iter(x[:CALIBRATION])
    def get_next(self):
        row = next(self.rows, None)
        return None if row is None else {"x": row[None]}

quant_pre_process("plain.onnx", "prepared.onnx")
q.quantize_static("prepared.onnx", "plain-int8.onnx", Reader(), per_channel=True)
"""

PLAIN_TFLITE = """
import numpy as np, torch, net, litert_torch
from ai_edge_quantizer import quantizer, recipe

x = np.load("samples.npz")["x"]
module = net.net()
litert_torch.convert(module, (torch.from_numpy(x[:1]),)).export("plain.tflite")
quantize = quantizer.Quantizer("plain.tflite")
quantize.load_quantization_recipe(recipe.static_wi8_ai8())
ranges = quantize.calibrate({"serving_default": [{"args_0": row[None]} for row in x[:CALIBRATION]]})
quantize.quantize(ranges).export_model("plain-int8.tflite")
"""


@dataclass(frozen=True)
class Cost:
    """Wall seconds, and the memory of the largest process in MB."""

    seconds: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default=",".join(NETWORKS))
    arguments = parser.parse_args()
    found = {}
    for name in arguments.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), name)
            found[name] = compare(Path(folder), name, arguments.rounds)
    if set(found) == set(NETWORKS):
        times = {name: [(one.seconds, two.seconds) for one, two in pairs] for name, pairs in found.items()}
        record("export.time", max(map(mean_ratio, found.values())), plain_and_edgekit_s=times)
    if pairs := found.get("mobilenetv2"):
        peaks = [(one.peak_mb, two.peak_mb) for one, two in pairs]
        ratio = max(ours for _, ours in peaks) / max(scripts for scripts, _ in peaks)
        record("export.peak", ratio, plain_and_edgekit_mb=peaks)


def prepare(folder: Path, name: str) -> None:
    """The network, samples and scripts of one model, in files of their own."""
    module, shape = NETWORKS[name]
    (folder / "net.py").write_text(NET.format(module=module))
    shutil.copy(untrained(MODELS.get(name)), folder / "weights.safetensors")
    rows = np.random.default_rng(0).normal(size=(SAMPLES, *shape)).astype(np.float32)
    np.savez(folder / "samples.npz", x=rows)
    for script, text in (("plain_onnx.py", PLAIN_ONNX), ("plain_tflite.py", PLAIN_TFLITE)):
        (folder / script).write_text(textwrap.dedent(text).replace("CALIBRATION", str(CALIBRATION)))


def compare(folder: Path, name: str, rounds: int) -> list[tuple[Cost, Cost]]:
    """Both ways in turn, the plain one first in each pair, printed with what is known of their ratio."""
    pairs = [(plain(folder), ours(folder, place)) for place in range(rounds)]
    for before, after in pairs:
        ratio = after.seconds / before.seconds
        print(
            f"{name}: plain {before.seconds:.1f} s {before.peak_mb:.0f} MB, "
            f"edgekit {after.seconds:.1f} s {after.peak_mb:.0f} MB, ratio {ratio:.2f}, "
            f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
            flush=True,
        )
    if rounds > 1:
        found = ratio_interval([one.seconds for one, _ in pairs], [one.seconds for _, one in pairs], paired=True)
        print(f"{name}: ratio {found.value:.2f} ({found.low:.2f} to {found.high:.2f})")
    return pairs


def mean_ratio(pairs: list[tuple[Cost, Cost]]) -> float:
    """The geometric mean of the ratios of time, edgekit against plain."""
    return statistics.geometric_mean([after.seconds / before.seconds for before, after in pairs])


def plain(folder: Path) -> Cost:
    """The two scripts one after the other."""
    costs = [measured([sys.executable, script], folder) for script in ("plain_onnx.py", "plain_tflite.py")]
    return Cost(sum(one.seconds for one in costs), max(one.peak_mb for one in costs))


def ours(folder: Path, place: int) -> Cost:
    """`edgekit export` of four artifacts, with everything it checks."""
    words = ["export", "net.py:net", "--samples", "samples.npz", "--calibration", str(CALIBRATION), "--quiet"]
    command = [sys.executable, "-m", "edgekit", *words, "--out", f"bundle-{place}"]
    return measured(command, folder, EDGEKIT_CACHE=str(folder / f"cache-{place}"))


def measured(command: list[str], folder: Path, **variables: str) -> Cost:
    """Run a program to its end; its memory counts with that of the processes it waited for, the largest of them."""
    begun = time.perf_counter()
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **variables}, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1: random weights may miss parity in int8, which costs the same time
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    return Cost(time.perf_counter() - begun, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
