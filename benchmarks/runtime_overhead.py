"""What edgekit costs beside the bare engine: a call, memory, a process; every pair interleaved in one run.

    python -m benchmarks.runtime_overhead [--bundle XOR-BUNDLE] [--rounds 40]

`xor`, the smallest net, on one thread. A call is the fastest block of 500 of each contender, blocks in turn and in an
order that changes each round: other work on the machine lengthens blocks, nothing shortens one. Processes are started
in turn; their time and peak memory are medians.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from benchmarks.figures.figure_rows import record

import edgekit
from edgekit.core.bundle import Bundle
from edgekit.runtime.prediction import feed_of

BLOCK: Final = 500
# The peak of a process as the kernel tells its parent holds the parent's own; this is that of the program alone.
PEAK: Final = """
import atexit
atexit.register(lambda: __import__("sys").stderr.write("PEAK " + open("/proc/self/status").read().split("VmHWM:")[1]))
"""
RUN_OPTIONS: Final = ("--artifact", "onnx-fp32", "--quiet", "--input", "sample:0")
COMMAND: Final = """
import sys
from edgekit.cli.main import main
sys.argv = ["edgekit", *sys.argv[1:]]
sys.exit(main())
"""
BARE: Final = """
import sys
import numpy as np
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
print(session.run(None, {name: np.load(sys.argv[2])}))
"""
OURS: Final = """
import sys
import numpy as np
import edgekit
with edgekit.load(sys.argv[1], artifact="onnx-fp32") as session:
    print(session.run({session.inputs[0].name: np.load(sys.argv[2])}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = arguments.bundle or Path(folder) / "xor"
        if not bundle.exists():
            edgekit.export_model("xor", to=["onnx-fp32", "tflite-fp32"], out=bundle)
        print("| what | bare | edgekit | difference |\n|---|---:|---:|---:|")
        found = [*calls(bundle, arguments.rounds), *large_call(Path(folder), arguments.rounds)]
        found += processes(bundle, Path(folder), max(arguments.rounds // 4, 3))
        for one in found:
            print(one.line)
        for one in found:
            record(one.key, one.value, **one.raw)


class Found(NamedTuple):
    """A line of the table, and the figure that it gives, in its unit."""

    line: str
    key: str
    value: float
    raw: dict[str, Any]


def fastest(contenders: Mapping[str, Callable[[], object]], rounds: int, block: int = BLOCK) -> dict[str, float]:
    """Seconds of one call: the fastest block of each contender, blocks interleaved."""
    rng = random.Random(0)
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name in rng.sample(list(contenders), len(contenders)):
            call = contenders[name]
            begun = time.perf_counter()
            for _ in range(block):
                call()
            best[name] = min(best[name], (time.perf_counter() - begun) / block)
    return best


def calls(bundle: Path, rounds: int) -> Iterator[Found]:
    """The ways to call a session of the smallest net."""
    with Bundle.open(bundle) as opened:
        onnx, tflite = (str(opened.file(opened.artifact(name))) for name in ("onnx-fp32", "tflite-fp32"))
        samples = opened.samples()
    assert samples is not None
    with (
        edgekit.load(bundle, artifact="onnx-fp32") as session,
        edgekit.load(bundle, artifact="tflite-fp32") as lite,
    ):
        feed = {name: np.ascontiguousarray(array[:1]) for name, array in samples.inputs.items()}
        bound, _ = session.bind(feed), lite.run(feed)
        bare, copying, interpreter = bare_session(onnx), bare_binding(onnx, feed), bare_interpreter(tflite, feed)
        found = fastest(
            {
                "run": lambda: bare.run(None, feed),
                "our run": lambda: session.run(feed),
                "bind": copying,
                "our bind": bound,
                "litert": interpreter,
                "our litert": lambda: lite.run(feed),
                "one thread": lambda: without_lock(lite, feed),
                "parts": lambda: session.run(feed_of(feed, session.spec)),
                "predict": lambda: session.predict(feed),
            },
            rounds,
        )
    more, apart = found["our run"] - found["run"], found["our litert"] - found["one thread"]
    predicted = found["predict"] - found["parts"]
    yield call("Session.run", found["run"], found["our run"], "call.run", 1e6 * more)
    yield call("Session.bind()", found["bind"], found["our bind"], "call.bind", 1e6 * found["our bind"])
    yield call("litert lock", found["one thread"], found["our litert"], "call.lock", 1e6 * apart)
    yield call("Session.predict", found["parts"], found["predict"], "call.predict", 1e6 * predicted)
    yield call("litert run", found["litert"], found["our litert"], "call.litert", 1e6 * found["our litert"])


def without_lock(session: Any, feed: Mapping[str, Any]) -> object:
    """The work of a LiteRT session without what keeps threads apart."""
    session._reset()
    plan = session._last
    return plan.invoke() if plan.takes(feed) else None


def large_call(folder: Path, rounds: int) -> Iterator[Found]:
    """A call of more than 100 µs."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.ones((768, 768), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])],
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 768])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 768])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = folder / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    feed = {"x": np.ones((8, 768), np.float32)}
    bare = bare_session(str(path))
    with edgekit.load(path, threads=1) as session:
        found = fastest({"bare": lambda: bare.run(None, feed), "ours": lambda: session.run(feed)}, rounds, block=20)
    yield call("Session.run, 768x768", found["bare"], found["ours"], "call.large", found["ours"] / found["bare"])


def bare_session(path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def bare_binding(path: str, feed: Mapping[str, np.ndarray[Any, Any]]) -> Callable[[], object]:
    """A binding that copies its input in each call, as one writes it by hand."""
    session = bare_session(path)
    binding = session.io_binding()
    (name, array), *_ = feed.items()
    buffer = array.copy()
    binding.bind_input(name, "cpu", 0, buffer.dtype.type, buffer.shape, buffer.ctypes.data)
    output = session.run(None, dict(feed))[0]
    binding.bind_output(session.get_outputs()[0].name, "cpu", 0, output.dtype.type, output.shape, output.ctypes.data)

    def call() -> object:
        np.copyto(buffer, array)
        session.run_with_iobinding(binding)
        return output

    return call


def bare_interpreter(path: str, feed: Mapping[str, np.ndarray[Any, Any]]) -> Callable[[], object]:
    """Set, invoke, get, as LiteRT's documentation has it."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    given, taken = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    (array,) = feed.values()

    def call() -> object:
        interpreter.set_tensor(given, array)
        interpreter.invoke()
        return interpreter.get_tensor(taken)

    return call


def processes(bundle: Path, folder: Path, rounds: int) -> Iterator[Found]:
    """A bare script, the same through the Python API, and the command."""
    with Bundle.open(bundle) as opened:
        onnx, samples = opened.file(opened.artifact("onnx-fp32")), opened.samples()
        assert samples is not None
        (array,) = samples.inputs.values()
        np.save(folder / "x.npy", array[0])
        np.save(folder / "batch.npy", array[:1])
        inputs = str(folder / "batch.npy")
        contenders = {
            "bare": [sys.executable, "-c", PEAK + BARE, str(onnx), inputs],
            "api": [sys.executable, "-c", PEAK + OURS, str(bundle), inputs],
            "command": [sys.executable, "-c", PEAK + COMMAND, "run", str(bundle), *RUN_OPTIONS],
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, command in contenders.items():
                found[name].append(cost(command))
    seconds = {name: statistics.median(pair[0] for pair in pairs) for name, pairs in found.items()}
    memory = {name: statistics.median(pair[1] for pair in pairs) for name, pairs in found.items()}
    for name, key in (("api", "memory.api"), ("command", "memory.run")):
        more = (memory[name] - memory["bare"]) / 1e6
        sizes = f"{memory['bare'] / 1e6:.1f} MB | {memory[name] / 1e6:.1f} MB | {more:+.1f} MB"
        peaks = {side: [pair[1] for pair in found[side]] for side in ("bare", name)}
        yield Found(f"| peak memory, {name} | {sizes} |", key, more, {"peak_bytes": peaks})
    ratio = seconds["command"] / seconds["bare"]
    times = f"{seconds['bare']:.2f} s | {seconds['command']:.2f} s | {ratio:.2f}x"
    raw = {"cpu_s": {side: [pair[0] for pair in pairs] for side, pairs in found.items()}}
    yield Found(f"| process of `edgekit run` (CPU time) | {times} |", "process.run", ratio, raw)


def cost(command: Sequence[str]) -> tuple[float, float]:
    """CPU seconds and peak memory in bytes of one process."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:2]} ended with {process.returncode}: {said}")
    return usage.ru_utime + usage.ru_stime, float(said.rpartition("PEAK")[2].split()[0]) * 1024


def call(what: str, bare: float, ours: float, key: str, value: float) -> Found:
    """A line of two times in seconds."""
    times = " | ".join(f"{1e6 * value:.2f} µs" for value in (bare, ours, ours - bare))
    return Found(f"| {what} | {times} |", key, value, {"bare_s": bare, "edgekit_s": ours})


if __name__ == "__main__":
    main()
