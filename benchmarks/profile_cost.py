"""What a median that is known to 1 % costs: `edgekit profile --precision 1%` against the naive protocol.

The naive protocol calls the model in one process until the nominal interval of the median, as if calls were
independent, is 1 % to either side, and then as often again. Calls of one process are correlated, so its interval is
narrower than the truth; twice the calls do not mend that. Both are whole runs with their processes, interleaved. The
figure is the geometric mean of the ratios.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures.figure_rows import record

from edgekit.core.system.durable.owners import temporary_folder
from edgekit.flows.profile import profile

MODELS = {"cifar-resnet8": (1, 3, 32, 32), "kws-dscnn": (1, 16_000), "mobilenetv2": (1, 3, 224, 224)}
ROUNDS = 5
PRECISION = 0.01
# 1.2533: the standard error of a median of normal values against that of their mean.
NAIVE = """
import math, statistics, sys, time
import numpy, onnxruntime
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], settings, providers=["CPUExecutionProvider"])
shape = [int(size) for size in sys.argv[2].split(",")]
feed = {session.get_inputs()[0].name: numpy.random.default_rng(0).random(shape, dtype=numpy.float32)}
values = []
def call():
    start = time.perf_counter()
    session.run(None, feed)
    values.append(time.perf_counter() - start)
for _ in range(10):
    call()
values.clear()
def half_width():
    return 1.96 * 1.2533 * statistics.stdev(values) / math.sqrt(len(values)) / statistics.median(values)
while len(values) < 30 or half_width() > 0.01:
    for _ in range(30):
        call()
for _ in range(len(values)):
    call()
print(len(values), statistics.median(values))
"""


def write_model(name: str, path: Path) -> None:
    """The network with its first weights: they change no duration."""
    import torch

    from edgekit.train.registry import MODELS as REFERENCE

    torch.manual_seed(0)
    network = REFERENCE.get(name).build().eval()
    example = (torch.zeros(MODELS[name]),)
    torch.onnx.export(network, example, str(path), dynamo=True, opset_version=18, external_data=False)


def naive(path: Path, name: str) -> tuple[float, float]:
    """(wall seconds, median in seconds) of the naive protocol."""
    start = time.perf_counter()
    shape = ",".join(map(str, MODELS[name]))
    done = subprocess.run([sys.executable, "-c", NAIVE, path, shape], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, float(done.stdout.split()[1])


def careful(path: Path, seed: int) -> tuple[float, float, float]:
    """(wall seconds, median in seconds, half-width as a share) of `edgekit profile`."""
    from edgekit.core.system.settings import Settings

    start = time.perf_counter()
    report = profile(path, precision=PRECISION, settings=Settings(seed=seed))
    wall_s = time.perf_counter() - start
    found = report.latency[0].quantiles["p50"]
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return wall_s, found.value, (found.high - found.low) / 2 / found.value


def main() -> None:
    ratios, raw = [], {}
    with temporary_folder("edgekit-cost-") as folder:
        for name in MODELS:
            path = Path(folder) / f"{name}.onnx"
            write_model(name, path)
            ours, theirs, widths, medians = [], [], [], []
            for number in range(ROUNDS):
                wall_s, median_s, width = careful(path, number)
                naive_s, naive_median_s = naive(path, name)
                ours.append(wall_s)
                theirs.append(naive_s)
                widths.append(width)
                medians.append((median_s, naive_median_s))
            ratio = statistics.median(ours) / statistics.median(theirs)
            spread, naive_spread = (
                statistics.stdev(values) / statistics.mean(values) for values in zip(*medians, strict=True)
            )
            ratios.append(ratio)
            raw[name] = {"edgekit_s": ours, "naive_s": theirs, "medians_s": medians, "half_widths": widths}
            print(
                f"{name:14} edgekit {statistics.median(ours):6.1f} s to ±{100 * max(widths):.2f} % at most, medians "
                f"spread {100 * spread:.2f} %; naive {statistics.median(theirs):6.1f} s, spread "
                f"{100 * naive_spread:.2f} %; ratio {ratio:.2f}"
            )
    record("precision.cost", statistics.geometric_mean(ratios), **raw)


if __name__ == "__main__":
    main()
