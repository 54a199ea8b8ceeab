#!/usr/bin/env python3
"""One launch on a device: `runner.py JOB.json` prints a JobResult or a JobFailure as one line of JSON.

It needs Python 3.9, numpy and one of onnxruntime, ai_edge_litert and tflite_runtime; edgekit is not needed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.metadata
import json
import os
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

SCHEMA = 1
CLOSE_COUNT, CLOSE_SPREAD = 5, 0.05
MAX_WARMUPS = 100
LEAST_KEPT, MOST_KEPT = 128 << 10, 32 << 20
PROVIDERS = {"cpu": "CPU", "xnnpack": "Xnnpack", "cuda": "CUDA", "tensorrt": "Tensorrt", "acl": "ACL"}
GRAPH_LEVELS = {"disable": "DISABLE_ALL", "basic": "ENABLE_BASIC", "extended": "ENABLE_EXTENDED", "all": "ENABLE_ALL"}
# A system call that does not exist shows an emulator that counts instructions where a call begins.
MARK: Any = ctypes.CDLL(None).syscall if "EDGEKIT_MARK" in os.environ else lambda *_: None


class Failure(Exception):
    """Why there is no result: the name of an edgekit error class, its message and its exit code."""

    def __init__(self, error: str, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.document = {"error": error, "message": message, "exit_code": exit_code, "schema_version": SCHEMA}


def main() -> int:
    """Run the job in the file named by the only argument; returns 0 or the exit code of the failure."""
    # From 1.29 on ONNX Runtime sends usage data unless this is set before it is loaded.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    answers = os.dup(1)
    os.dup2(2, 1)  # engines write to standard output as they like
    try:
        job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        document, code = launch(job), 0
    except Failure as failure:
        document, code = failure.document, failure.exit_code
    except MemoryError:
        document, code = Failure("DeviceError", "The device does not have enough memory for this model.", 3).document, 3
    os.write(answers, json.dumps(document).encode() + b"\n")
    return code


def launch(job: dict[str, Any]) -> dict[str, Any]:
    """Load, run once, warm up, measure, and write the outputs; the fields of a JobResult."""
    if job["schema_version"] > SCHEMA:
        raise Failure("DeviceError", f"This runner reads jobs of schema {SCHEMA}, not {job['schema_version']}.", 3)
    feeds = read_feeds(job["feeds"])
    reset_peak()
    keep_freed(LEAST_KEPT, LEAST_KEPT)  # how many copies of the weights are at the peak depends on addresses otherwise
    start = time.perf_counter_ns()
    session = open_session(job)
    load_s = (time.perf_counter_ns() - start) / 1e9
    start = time.perf_counter_ns()
    session.run(feeds[0])
    first_run_s = (time.perf_counter_ns() - start) / 1e9
    keep_freed(MOST_KEPT, 2 * MOST_KEPT)  # so that calls reuse their blocks
    warmups, values, switches = measured(session, feeds[0], job)
    memory = peak_memory_bytes()
    if job["outputs"]:
        write_outputs(job["outputs"], [session.run(feed) for feed in feeds])
    return {
        "backend": session.backend,
        "engine": session.engine,
        "provider": session.provider,
        "values": values,
        "warmups": warmups,
        "load_s": load_s,
        "first_run_s": first_run_s,
        "peak_memory_bytes": memory,
        "nivcsw": switches,
        "schema_version": SCHEMA,
    }


def read_feeds(path: str) -> list[dict[str, Any]]:
    """Feeds in order, from arrays named `INDEX:INPUT`."""
    numpy = engine_module("numpy")
    feeds: dict[int, dict[str, Any]] = {}
    with numpy.load(path, allow_pickle=False) as content:
        for key in content.files:
            index, _, name = key.partition(":")
            feeds.setdefault(int(index), {})[name] = content[key]
    return [feeds[index] for index in sorted(feeds)]


def write_outputs(path: str, outputs: list[dict[str, Any]]) -> None:
    """Write the outputs of every feed as arrays named `INDEX:OUTPUT`; the file has its name only when complete."""
    numpy = engine_module("numpy")
    arrays = {f"{index}:{name}": array for index, one in enumerate(outputs) for name, array in one.items()}
    with open(f"{path}.part", "wb") as stream:
        numpy.savez(stream, **arrays)
    os.replace(f"{path}.part", path)


def engine_module(name: str) -> Any:
    """An imported module, or the failure that the device does not have it."""
    try:
        return importlib.import_module(name)
    except ImportError as err:
        raise Failure("MissingExtra", f"it has no '{name}' for Python {sys.version.split()[0]} ({err})", 3) from err


def version_of(package: str) -> str:
    """Version of an installed distribution."""
    return next((one.version for one in importlib.metadata.distributions(name=package)), "unknown")


def open_session(job: dict[str, Any]) -> OnnxSession | TfliteSession:
    """A session of the backend that opens the job's format."""
    backend = job["backend"] or {"onnx": "onnxruntime", "tflite": "litert"}.get(job["format"], "")
    if backend == "onnxruntime":
        return OnnxSession(job["artifact"], job["options"])
    if backend in ("litert", "tflite-runtime"):
        return TfliteSession(job["artifact"], job["options"], backend)
    raise Failure("UserError", f"The device's runner has no backend '{backend}' for '{job['format']}'.", 2)


class OnnxSession:
    """An .onnx file in ONNX Runtime."""

    backend = "onnxruntime"

    def __init__(self, path: str, options: dict[str, str]) -> None:
        ort = engine_module("onnxruntime")
        self.engine = f"onnxruntime {ort.__version__}"
        self.provider = options.get("provider", "cpu")
        wanted = f"{PROVIDERS.get(self.provider, self.provider)}ExecutionProvider"
        if wanted not in ort.get_available_providers():
            raise Failure("ProviderRefused", f"The device's onnxruntime has no provider '{self.provider}'.", 3)
        try:
            self._session = ort.InferenceSession(path, self._settings(ort, options), providers=[wanted])
        except Exception as err:
            raise Failure("ModelUnreadable", f"The device's onnxruntime cannot load the model: {err}", 5) from err
        if self._session.get_providers()[0] != wanted:
            raise Failure("ProviderRefused", f"Provider '{self.provider}' did not run the model.", 3)
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name."""
        return dict(zip(self._names, self._session.run(self._names, feed)))  # noqa: B905 - Python 3.9 has no strict

    def bind(self, feed: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """A call that runs `feed` again, into buffers that the next call overwrites."""
        outputs = self.run(feed)
        binding = self._session.io_binding()
        for name, array in feed.items():
            binding.bind_cpu_input(name, array)
        for name, array in outputs.items():
            binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        run = self._session.run_with_iobinding

        def call() -> dict[str, Any]:
            run(binding)
            return outputs

        return call

    @staticmethod
    def _settings(ort: Any, options: dict[str, str]) -> Any:
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = int(options.get("threads", "1"))
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        level = GRAPH_LEVELS[options.get("graph", "all")]
        settings.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_{level}")
        if "spin" in options:
            settings.add_session_config_entry("session.intra_op.allow_spinning", options["spin"])
        return settings


class TfliteSession:
    """A .tflite file in LiteRT or tflite-runtime; runs the signature whose shapes are those of the feed."""

    def __init__(self, path: str, options: dict[str, str], backend: str) -> None:
        package = {"litert": "ai-edge-litert"}.get(backend, backend)
        interpreter = engine_module(f"{package.replace('-', '_')}.interpreter").Interpreter
        self.backend, self.engine = backend, f"{backend} {version_of(package)}"
        try:
            self._engine = interpreter(model_path=path, num_threads=int(options.get("threads", "1")))
            self._engine.allocate_tensors()
        except (ValueError, RuntimeError) as err:
            raise Failure("ModelUnreadable", f"The device's {backend} cannot load the model: {err}", 5) from err
        self._options, self._wrapper, self._numpy = options, self._engine._interpreter, engine_module("numpy")
        self.provider = self._kernels()
        if options.get("provider", "cpu") not in ("cpu", self.provider):
            raise Failure("ProviderRefused", f"Provider '{options['provider']}' did not run the model.", 3)

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name; quantized outputs as float32. Variables are reset unless the option `state` is `keep`."""
        if self._options.get("state") != "keep":
            self._engine.reset_all_variables()
        self.bind(feed)()
        return {name: self._given(detail) for name, detail in self._outputs.items()}

    def bind(self, feed: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """A call that sets `feed`, runs, and reads the outputs."""
        inputs, self._outputs, subgraph = self._entry(feed)
        wrapper = self._wrapper
        pairs = [(inputs[name]["index"], self._stored(array, inputs[name])) for name, array in feed.items()]
        indices = {name: detail["index"] for name, detail in self._outputs.items()}
        self._subgraph = subgraph

        def call() -> dict[str, Any]:
            for index, array in pairs:
                wrapper.SetTensor(index, array, subgraph)
            wrapper.Invoke(subgraph)
            return {name: wrapper.GetTensor(index, subgraph) for name, index in indices.items()}

        return call

    def _entry(self, feed: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], int]:
        """Details of inputs and outputs by name, and the subgraph, of the signature that takes `feed`."""
        detail = self._engine._get_tensor_details
        for inputs, outputs, subgraph in self._entries():
            found = {key: detail(index, subgraph) for key, index in inputs.items()}
            if set(found) == set(feed) and all(takes(one, feed[name].shape) for name, one in found.items()):
                self._resize(found, feed, subgraph)
                return found, {key: detail(index, subgraph) for key, index in outputs.items()}, subgraph
        shapes = ", ".join(f"{name} {tuple(array.shape)}" for name, array in feed.items())
        raise Failure("UserError", f"The file has no signature for {shapes}.", 2)

    def _entries(self) -> list[tuple[dict[str, int], dict[str, int], int]]:
        """Tensor indices of inputs and outputs by name, and the subgraph, of every signature that may be run."""
        signatures, wanted = self._engine._get_full_signature_list(), self._options.get("signature", "")
        if wanted and wanted not in signatures:
            raise Failure("UserError", f"The file has no signature '{wanted}'.", 2)
        if not signatures:
            details = self._engine.get_input_details(), self._engine.get_output_details()
            inputs, outputs = ({detail["name"]: detail["index"] for detail in found} for found in details)
            return [(inputs, outputs, 0)]
        index = self._wrapper.GetSubgraphIndexFromSignature
        chosen = {name: one for name, one in signatures.items() if wanted in ("", name)}
        return [(one["inputs"], one["outputs"], index(name)) for name, one in chosen.items()]

    def _resize(self, inputs: dict[str, Any], feed: dict[str, Any], subgraph: int) -> None:
        """Give inputs whose axes the file leaves free the shapes of `feed`."""
        for name, detail in inputs.items():
            if tuple(detail["shape"]) != feed[name].shape:
                sizes = self._numpy.array(feed[name].shape, dtype="int32")
                self._wrapper.ResizeInputTensor(detail["index"], sizes, False, subgraph)
        self._wrapper.AllocateTensors(subgraph)

    def _stored(self, array: Any, detail: Any) -> Any:
        """`array` in the numbers that the file stores, as `runtime/backends/quantized.py` converts them."""
        numpy, own, dtype, (scale, zero_point) = self._numpy, array.dtype, detail["dtype"], scale_of(detail)
        if scale and own.kind == "f":
            limits = numpy.iinfo(dtype)
            steps = numpy.rint(array.astype(numpy.float32) / numpy.float32(scale)) + zero_point
            return numpy.clip(steps, limits.min, limits.max).astype(dtype)
        stored = numpy.asarray(array, dtype=dtype, order="C")
        is_other_kind = scale and own != stored.dtype and own.itemsize == stored.itemsize
        if stored.dtype.kind in "iu" and (is_other_kind or (stored != array).any()):
            raise Failure("UserError", f"'{detail['name']}' is {stored.dtype}; the feed has other values ({own}).", 2)
        return stored

    def _given(self, detail: Any) -> Any:
        array, (scale, zero_point) = self._wrapper.GetTensor(detail["index"], self._subgraph), scale_of(detail)
        real = self._numpy.float32
        return (array.astype(real) - real(zero_point)) * real(scale) if scale else array

    def _kernels(self) -> str:
        """`xnnpack` when it took at least one operator, else `cpu`."""
        names = [self._wrapper.NodeName(place) for place in range(self._wrapper.NumNodes())]
        return "xnnpack" if "DELEGATE" in names else "cpu"


def takes(detail: Any, shape: tuple[int, ...]) -> bool:
    """True if an input has this shape, or leaves free where it differs."""
    sizes = zip(detail["shape"], detail["shape_signature"], shape)  # noqa: B905 - Python 3.9 has no strict
    return len(detail["shape"]) == len(shape) and all(own == size or free < 0 for own, free, size in sizes)


def scale_of(detail: Any) -> tuple[float, int]:
    """Scale and zero point of a quantized tensor, (0, 0) for any other."""
    parameters = detail["quantization_parameters"]
    if len(parameters["scales"]) != 1:
        return 0.0, 0
    return float(parameters["scales"][0]), int(parameters["zero_points"][0]) if len(parameters["zero_points"]) else 0


def measured(session: Any, feed: dict[str, Any], job: dict[str, Any]) -> tuple[list[float], list[float], int]:
    """Durations before and during the measured time (the host finds the end of the warm-up), and preemptions."""
    feed = {name: array.copy() for name, array in feed.items()}  # states are written into it
    call, limit_ns = partial(duration, session.bind(feed), feed, job["states"]), int(job["time_limit_s"] * 1e9)
    gc.collect()
    gc.disable()
    warmups = warmed_up(call, limit_ns)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    values = timed(call, limit_ns, job["min_values"], job["max_values"])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    gc.enable()
    return [value / 1e9 for value in warmups], [value / 1e9 for value in values], after - before


def warmed_up(call: Callable[[], int], limit_ns: int) -> list[int]:
    """Durations until five in a row are within 5 % of their median, or the time limit is used up."""
    durations: list[int] = []
    while len(durations) < MAX_WARMUPS and sum(durations) < limit_ns and not are_close(durations):
        durations.append(call())
    return durations


def are_close(durations: list[int]) -> bool:
    """True if the last five durations are within 5 % of their median: the measured calls can begin."""
    last = durations[-CLOSE_COUNT:]
    middle = statistics.median(last or [0])
    return len(last) == CLOSE_COUNT and all(abs(value - middle) <= CLOSE_SPREAD * middle for value in last)


def timed(call: Callable[[], int], limit_ns: int, least: int, most: int) -> list[int]:
    """Durations until there are `least` and the time limit is up, or there are `most`."""
    durations: list[int] = []
    end = time.perf_counter_ns() + limit_ns
    while len(durations) < most and (len(durations) < least or time.perf_counter_ns() < end):
        MARK(9999, len(durations))
        durations.append(call())
    MARK(9999, len(durations))
    return durations


def duration(call: Callable[[], dict[str, Any]], feed: dict[str, Any], states: dict[str, str]) -> int:
    """Nanoseconds of one call, after which each output in `states` is the input `states[output]` of the next."""
    start = time.perf_counter_ns()
    outputs = call()
    spent = time.perf_counter_ns() - start
    for output, name in states.items():
        if feed[name].shape == outputs[output].shape:
            feed[name][...] = outputs[output]
    return spent


def reset_peak() -> None:
    """Reset the peak memory, if the system allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_memory_bytes() -> int | None:
    """The most memory this process has used."""
    match = re.search(r"^VmHWM:\s+(\d+) kB", text_of("/proc/self/status"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def keep_freed(mmap: int, trim: int) -> None:
    """From which sizes glibc's malloc gives freed blocks back to the system, as on the host.

    Not where instructions are counted: it tidies up the heap, and the next run takes some more.
    """
    if "EDGEKIT_MARK" in os.environ:
        return
    with contextlib.suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(-3, mmap)
        library.mallopt(-1, trim)


def text_of(path: str) -> str:
    """The text of a file, empty if it cannot be read."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    return ""


if __name__ == "__main__":
    sys.exit(main())
