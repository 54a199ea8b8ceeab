"""Time of every operator, from the profilers of ONNX Runtime and LiteRT; of the latter with the names of the file."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgekit.core.job import OperatorTime
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.optional import need
from edgekit.runtime.backends.litert_profiler import FileOperator, OperatorEvent, ProfiledFile, ProfilerUnavailable
from edgekit.runtime.backends.native_output import captured_stderr
from edgekit.runtime.backends.signatures import SignatureEntry

if TYPE_CHECKING:
    from edgekit.core.samples import Array

_KERNEL: Final = "_kernel_time"
# The engine stops recording at a million events; a run of a large network has some thousands.
_RUNS: Final = 20
_WARMUPS: Final = 3
# The profiler counts whole microseconds, which a mean over many runs makes finer.
_MOST_RUNS: Final = 200
_FEWEST_RUNS: Final = 5
_TIME_BOX_S: Final = 2.0
# Beyond that, names would take longer than the runs.
_MOST_PAIRS: Final = 16_000_000
# How XNNPACK begins the name of what runs an operator, as far as that is one operator of the file.
_CONVOLUTION: Final = ("CONV_2D", "DEPTHWISE_CONV_2D")
_PRODUCT: Final = ("FULLY_CONNECTED", "CONV_2D", "BATCH_MATMUL")
_XNNPACK: Final = {
    "Convolution": _CONVOLUTION,
    "DWConv": _CONVOLUTION,
    "Depthwise": _CONVOLUTION,
    "Fully Connected": _PRODUCT,
    "Dynamic Fully Connected": _PRODUCT,
    "Batch Matrix Multiply": _PRODUCT,
    "Deconvolution": ("TRANSPOSE_CONV",),
    "Max Pooling": ("MAX_POOL_2D",),
    "Average Pooling": ("AVERAGE_POOL_2D",),
    "Add": ("ADD",),
    "Subtract": ("SUB",),
    "Multiply": ("MUL",),
    "Divide": ("DIV",),
    "Maximum": ("MAXIMUM",),
    "Minimum": ("MINIMUM",),
    "Sigmoid": ("LOGISTIC",),
    "Tanh": ("TANH",),
    "Exp": ("EXP",),
    "Clamp": ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"),
    "HardSwish": ("HARD_SWISH",),
    "Leaky ReLU": ("LEAKY_RELU",),
    "ELU": ("ELU",),
    "GELU": ("GELU",),
    "Softmax": ("SOFTMAX",),
    "Transpose": ("TRANSPOSE",),
    "Static Reshape": ("RESHAPE", "EXPAND_DIMS", "SQUEEZE"),
    "Slice": ("SLICE", "STRIDED_SLICE", "SPLIT"),
    "Constant Pad": ("PAD", "PADV2"),
    "Resize Bilinear": ("RESIZE_BILINEAR",),
    "Global Average Pooling": ("MEAN", "AVERAGE_POOL_2D"),
    "Mean": ("MEAN",),
    "Sum": ("SUM", "MEAN"),
    "Convert": ("QUANTIZE", "DEQUANTIZE"),
    "Square Root": ("SQRT",),
    "Reciprocal Square Root": ("RSQRT",),
}
# A layer with weights decides first which operator is which.
_HEAVY: Final = 1000
_LIGHT: Final = 1


def operator_times(
    created: Callable[[Any], Any], settings: Any, feed: Mapping[str, object]
) -> tuple[OperatorTime, ...]:
    """Times of the operators over 20 runs of `feed`, after 3 warm-ups.

    Profiling adds some microseconds per operator, so these times show shares rather than latencies.

    Args:
        created: Makes ONNX Runtime's session from its options.
        settings: These options, to which profiling is added.
    """
    with temporary_folder("edgekit-operators-") as folder:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "run")
        engine = created(settings)
        for _ in range(_WARMUPS + _RUNS):
            engine.run(None, feed)
        return read_operators(json.loads(Path(engine.end_profiling()).read_text()), warmups=_WARMUPS)


def read_operators(events: Iterable[Mapping[str, Any]], *, warmups: int) -> tuple[OperatorTime, ...]:
    """Operators in the order they ran, each with the median of its durations after the first `warmups`."""
    durations: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and str(event["name"]).endswith(_KERNEL) and "op_name" in event["args"]:
            name = str(event["name"]).removesuffix(_KERNEL)
            durations[name, event["args"]["op_name"], event["args"].get("provider", "")].append(event["dur"] / 1e6)
    return tuple(
        OperatorTime(name, kind, _short(provider), median(values[warmups:] or values))
        for (name, kind, provider), values in durations.items()
    )


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider").lower()


def profiled(
    path: Path, version: str, threads: int, entry: SignatureEntry, inputs: Mapping[str, Array]
) -> tuple[OperatorTime, ...]:
    """Times of the operators of a signature of the file at `path`; none where LiteRT's profiler is not within reach.

    Args:
        inputs: By name, as the file stores them.
    """
    try:
        with captured_stderr(repeats=False), ProfiledFile(path, version, entry.name, threads) as compiled:
            compiled.set_inputs(inputs, resize=entry.is_resizable)
            return operators_of(compiled.run, compiled.operators())
    except ProfilerUnavailable:
        return ()


def operators_of(run: Callable[[], Sequence[OperatorEvent]], file: Sequence[FileOperator]) -> tuple[OperatorTime, ...]:
    """Operators in the order in which they ran, each with its mean over the half of the runs nearest the median run.

    Args:
        run: Runs the file once.
        file: The operators of the file in its order.

    Raises:
        ProfilerUnavailable: The runs differ in their operators.
    """
    runs = list(_runs(run))
    if len({tuple((one.kind, one.place) for one in events) for events in runs}) != 1 or not runs[0]:
        raise ProfilerUnavailable("the runs differ in their operators")
    usual = _usual(runs)
    names = _names(runs[0], file)
    return tuple(
        OperatorTime(name, kind, "xnnpack" if event.is_delegated else "cpu", fmean(durations) / 1e6)
        for event, (kind, name), durations in zip(
            runs[0], names, zip(*([one.microseconds for one in events] for events in usual), strict=True), strict=True
        )
    )


def _runs(run: Callable[[], Sequence[OperatorEvent]]) -> Iterator[Sequence[OperatorEvent]]:
    for _ in range(_WARMUPS):
        run()
    end = time.perf_counter() + _TIME_BOX_S
    for number in range(_MOST_RUNS):
        if number >= _FEWEST_RUNS and time.perf_counter() > end:
            return
        yield run()


def _usual(runs: Sequence[Sequence[OperatorEvent]]) -> list[Sequence[OperatorEvent]]:
    """The half of the runs whose sums are nearest the median: other processes disturb the rest."""
    sums = [sum(one.microseconds for one in events) for events in runs]
    middle = median(sums)
    order = sorted(range(len(runs)), key=lambda place: abs(sums[place] - middle))
    return [runs[place] for place in order[: (len(runs) + 1) // 2]]


def _names(events: Sequence[OperatorEvent], file: Sequence[FileOperator]) -> list[tuple[str, str]]:
    """Type and name of each operator as the file has them; where that is not certain, as XNNPACK calls it."""
    kinds = _kinds()
    codes = [kinds.get(one.code, str(one.code)) for one in file]
    pairs = _certain(events, codes)
    found = []
    for place, event in enumerate(events):
        if place in pairs:
            found.append((codes[pairs[place]], file[pairs[place]].name))
        else:
            found.append((event.kind, f"{event.kind} {event.place}"))
    return found


def _kinds() -> dict[int, str]:
    builtin = need("ai_edge_litert.schema_py_generated", extra="tflite").BuiltinOperator
    return {code: name for name, code in vars(builtin).items() if isinstance(code, int)}


def _certain(events: Sequence[OperatorEvent], codes: Sequence[str]) -> dict[int, int]:
    """By place among `events` the place in the file, where every best alignment of both says the same.

    XNNPACK joins operators of the file, leaves some out, and runs others in several steps, but keeps their order.
    """
    if not events or not codes or len(events) * len(codes) > _MOST_PAIRS:
        return {}
    weights = _weights(events, codes)
    before, behind = _best(weights), _best(weights[::-1, ::-1])[::-1, ::-1]
    is_best = (weights > 0) & (before[:-1, :-1] + weights + behind[1:, 1:] == before[-1, -1])
    is_single = is_best & (is_best.sum(axis=1, keepdims=True) == 1) & (is_best.sum(axis=0, keepdims=True) == 1)
    return {int(row): int(column) for row, column in np.argwhere(is_single)}


def _best(weights: Any) -> Any:
    """The weight of the best alignment of the first rows with the first columns, for each number of both."""
    rows, columns = weights.shape
    table = np.zeros((rows + 1, columns + 1), np.int32)
    for row in range(rows):
        paired = np.maximum(table[row, 1:], table[row, :-1] + weights[row])
        table[row + 1, 1:] = np.maximum.accumulate(paired)
    return table


def _weights(events: Sequence[OperatorEvent], codes: Sequence[str]) -> Any:
    """How much it tells that an operator that ran is one of the file, for each of both; 0 where it cannot be."""
    rows = {kind: _row(_family(kind), codes) for kind in {one.kind for one in events if one.is_delegated}}
    places = np.arange(len(codes))
    return np.array([rows[one.kind] if one.is_delegated else _HEAVY * (places == one.place) for one in events])


def _row(family: tuple[str, ...], codes: Sequence[str]) -> Any:
    weight = _HEAVY if family in (_CONVOLUTION, _PRODUCT) else _LIGHT
    return np.array([weight * (code in family) for code in codes], np.int32)


def _family(kind: str) -> tuple[str, ...]:
    start = max((one for one in _XNNPACK if kind.startswith(one)), key=len, default="")
    return _XNNPACK.get(start, ())
