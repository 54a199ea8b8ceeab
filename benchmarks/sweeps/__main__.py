"""Sweeps real versions of ONNX Runtime, and one that is slowed by 5 %, with a kill -9 in the middle.

python -m benchmarks.sweeps                       three models, what `edgekit sweep` prints, and what is checked
python -m benchmarks.sweeps 1.30.0 1.31.1         other versions; the first is the reference and is slowed as well

Versions without an environment are downloaded into the cache, like with `edgekit sweep --install`. The slowed version
is the first one with a busy-wait after each call, which takes 5 % of the time of that call.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from benchmarks.sweeps.pretended import pretend
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.system.durable.owners import temporary_folder
from edgekit.flows.sweeping.backend_versions import BackendVersion

_VERSIONS: Final = ("1.30.0", "1.32.0")
_SLOWER: Final = 0.05
_CHANNELS: Final = {"small": 8, "middle": 16, "large": 32}
_KILLED_AFTER: Final = 30


def write_model(path: Path, channels: int) -> None:
    """Three convolutions on a picture of 32 x 32 pixels, and a product."""
    random = np.random.default_rng(0)
    shapes = {"a": (channels, 3, 3, 3), "b": (channels, channels, 3, 3), "c": (channels, channels, 3, 3)}
    nodes, last = [], "x"
    for name in shapes:
        nodes.append(helper.make_node("Conv", [last, name], [f"{name}1"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"{name}1"], [f"{name}2"]))
        last = f"{name}2"
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["y"]))
    weights = [numpy_helper.from_array(random.normal(size=size).astype(np.float32), n) for n, size in shapes.items()]
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 32, 32])
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", channels])
    graph = helper.make_graph(nodes, path.stem, [takes], [gives], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def main() -> int:
    """Sweep, kill, sweep on; print what was found, and exit with 1 where a check fails."""
    versions = [BackendVersion("onnxruntime", one) for one in sys.argv[1:] or _VERSIONS]
    for one in versions:
        if not one.is_installed:
            one.install()
    slowed = pretend(f"{versions[0].version}.1", slower=_SLOWER, packages=versions[0].packages)
    with temporary_folder("edgekit-sweeps-") as name:
        folder = Path(name)
        for stem, channels in _CHANNELS.items():
            write_model(folder / f"{stem}.onnx", channels)
        models = [f"{stem}.onnx" for stem in _CHANNELS]
        engines = [str(one) for one in (*versions, slowed)]
        (folder / "sweep.toml").write_text(f"models = {json.dumps(models)}\nengine = {json.dumps(engines)}\n")
        return _swept(folder)


def _swept(folder: Path) -> int:
    results = folder / "sweep.jsonl"
    command = [sys.executable, "-m", "edgekit", "sweep", "sweep.toml"]
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=folder)
    while process.poll() is None and not (results.is_file() and results.read_bytes().count(b"\n") >= _KILLED_AFTER):
        time.sleep(0.2)
    process.kill()
    process.wait()
    before = len(_counted(results))
    subprocess.run(command, cwd=folder, check=False)
    rows = _counted(results)
    twice = [row for row, count in Counter(rows).items() if count > 1]
    print(f"killed after {before} launches, {len(rows)} in all, {len(twice)} twice, {time.monotonic() - start:.0f} s")
    again = subprocess.run([*command, "--json", "-q"], cwd=folder, capture_output=True, text=True, check=False)
    found = json.loads(again.stdout)
    print(f"the same command once more: {found['launched']} launches")
    slowed = [one["compared"]["says"] for one in found["verdicts"] if one["compared"]["b"].endswith(".1")]
    print(f"slowed by {_SLOWER:.0%}: {', '.join(slowed)}")
    return int(bool(twice) or bool(found["launched"]) or slowed != ["slower"] * len(_CHANNELS))


def _counted(results: Path) -> list[tuple[str, int]]:
    lines = [json.loads(line) for line in results.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [(one["key"], one["round"]) for one in lines if not one["is_replaced"]]


if __name__ == "__main__":
    sys.exit(main())
