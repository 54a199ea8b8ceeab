"""How long a program of `edgekit deploy --for c` takes from its start to its result, against the bare C runner.

Both load the same library and the same model in a process of their own and run one input; the runner, which measures,
runs it twice. Pairs are interleaved, in turn the one and the other first. The ratio is a trimmed mean of pairs; the
figure is the upper end of its interval.

    python -m benchmarks.deploy_start [BUNDLE]        the network for digits without one
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from benchmarks.figures.figure_rows import record

from edgekit.core.bundle import Bundle
from edgekit.core.statistics.paired import paired_ratio
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.progress import Silent
from edgekit.devices.remote.array_records import packed
from edgekit.flows.deploy import program_order
from edgekit.flows.export import export
from edgekit.runtime.portable import C_RUNNERS

PAIRS = 60
WARM = 5
LIBRARY = str(next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.1*")))


def wall_s(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={"ONNXRUNTIME_LIBRARY": LIBRARY})
    return time.perf_counter() - start


def commands(bundle: Path, folder: Path) -> tuple[list[str], list[str]]:
    """The bare runner and the deployed program, on the same first sample."""
    with program_order(bundle, language="c", out=folder / "program") as order:
        order.run(Silent())
    subprocess.run(["make", "-s"], cwd=folder / "program", check=True)
    with Bundle.open(bundle) as opened:
        samples, inputs = opened.samples(), opened.spec.inputs
    assert samples is not None
    feed = {one.name: samples.inputs[one.name][:1] for one in inputs}
    (folder / "feeds").write_bytes(packed({f"0:{name}": array for name, array in feed.items()}))
    arrays = []
    for place, array in enumerate(feed.values()):
        np.save(folder / f"{place}.npy", array)
        arrays.append(str(folder / f"{place}.npy"))
    model = str(folder / "program" / "model.onnx")
    runner = [str(C_RUNNERS[os.uname().machine]), "-l", LIBRARY, "-T", "0", "-n", "1", "-x", "1", model]
    return [*runner, str(folder / "feeds")], [str(folder / "program" / "model"), *arrays]


def main() -> None:
    with temporary_folder() as name:
        folder = Path(name)
        bundle = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "bundle"
        if len(sys.argv) == 1:
            export("digits", to=("onnx-fp32",), out=bundle)
        bare, program = commands(bundle, folder)
        for command in (bare, program) * WARM:
            wall_s(command)
        times: tuple[list[float], list[float]] = ([], [])
        for pair in range(PAIRS):
            for place in (0, 1) if pair % 2 else (1, 0):
                times[place].append(wall_s((bare, program)[place]))
    ratio = paired_ratio(*times, looks=1)
    for what, values in zip(("bare C runner", "program in C"), times, strict=True):
        print(f"{what:14} {1e3 * statistics.median(values):6.1f} ms")
    print(f"ratio {ratio.value:.3f} (95 %: {ratio.low:.3f} to {ratio.high:.3f}, {PAIRS} pairs)")
    record("start.deployed", ratio.high, ratio=ratio.value, bare_s=times[0], program_s=times[1])


if __name__ == "__main__":
    main()
