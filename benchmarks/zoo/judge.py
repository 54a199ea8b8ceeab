"""The independent judge: runs a file in its engine alone and compares it with PyTorch, in plain numpy.

An fp32 file is right if every output differs by at most 1e-3 of its range and has at least 60 dB; an fp16 file has at
least 40 dB, an int8 file at least 15 dB. Where an output mixes scales, every channel is one output. Integers are equal
in float files; in int8 files, nine of ten are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from benchmarks.zoo.prepared import one_of

LEAST_DB: Final = {"fp32": 60.0, "fp16": 40.0, "int8": 15.0}
LARGEST_SHARE: Final = {"fp32": 1e-3}
AGREEING: Final = {"fp32": 1.0, "fp16": 1.0, "int8": 0.9}


class Judgement(NamedTuple):
    """Whether a file is right; the least signal over noise, the largest difference as a share of the range, and why."""

    right: bool
    least_db: float
    share: float
    reason: str = ""


def judge(path: Path, precision: str, folder: Path, mixed: int | None) -> Judgement:
    """Run a file on every sample of a prepared folder and compare."""
    with np.load(folder / "samples.npz") as stored:
        feeds = {name: stored[name] for name in stored.files}
    with np.load(folder / "expected.npz") as stored:
        expected = [stored[name] for name in stored.files]
    got = (run_onnx if path.suffix == ".onnx" else run_tflite)(path, feeds)
    if len(got) != len(expected):
        return Judgement(False, -99.0, 1.0, f"{len(got)} outputs instead of {len(expected)}")
    return worst([compared(a, b, precision, mixed) for a, b in zip(expected, arranged(got, expected), strict=True)])


def worst(found: Sequence[Judgement]) -> Judgement:
    """The wrong one of several, or the one with the least signal over noise."""
    return min(found, key=lambda one: (one.right, one.least_db))


def arranged(got: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The outputs in the order of PyTorch: a file may name them in another one, then shapes and values decide."""
    left = list(got)
    for place, wanted in enumerate(expected):
        fitting = [one for one in left if one.size == wanted.size]
        if not fitting:
            yield left[0]
            continue
        same = got[place] if any(got[place] is one for one in fitting) else None
        near = min(fitting, key=lambda one: _distance(one, wanted))
        chosen = near if same is None or _distance(near, wanted) < 0.1 * _distance(same, wanted) else same
        left = [one for one in left if one is not chosen]
        yield chosen


def _distance(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(got.ravel().astype(np.float64) - wanted.ravel().astype(np.float64)).mean())


def compared(expected: np.ndarray, got: np.ndarray, precision: str, mixed: int | None) -> Judgement:
    """One output; its first axis is the samples, each of which is a batch of one."""
    if got.size != expected.size:
        return Judgement(False, -99.0, 1.0, f"shape {got.shape[1:]} instead of {expected.shape[1:]}")
    got = got.reshape(expected.shape)
    if expected.dtype.kind in "iub":
        agreed = float((got == expected).mean())
        return Judgement(agreed >= AGREEING[precision], 999.0, 1 - agreed, "" if agreed == 1 else "integers differ")
    if mixed is None:
        return _floats(expected, got, precision)
    places = range(expected.shape[mixed + 1])
    channels = [(expected.take(place, mixed + 1), got.take(place, mixed + 1)) for place in places]
    return worst([_floats(a, b, precision) for a, b in channels])


def _floats(expected: np.ndarray, got: np.ndarray, precision: str) -> Judgement:
    if not np.isfinite(got).all():
        return Judgement(False, -99.0, 1.0, "not finite")
    wanted = expected.astype(np.float64)
    error = np.abs(got.astype(np.float64) - wanted)
    noise = float((error**2).sum())
    least = 10 * np.log10(float((wanted**2).sum()) / noise) if noise else 999.0
    share = float(error.max() / (wanted.max() - wanted.min() + 1e-30))
    right = least >= LEAST_DB[precision] and share <= LARGEST_SHARE.get(precision, np.inf)
    return Judgement(bool(right), float(least), share)


def run_onnx(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Every output for every sample, in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {one.name: one for one in session.get_inputs()}
    rows = []
    for place in range(len(next(iter(feeds.values())))):
        named = {name: array for name, array in one_of(feeds, place).items() if name in wanted}
        rows.append(session.run(None, named))
    return [np.stack(column) for column in zip(*rows, strict=True)]


def run_tflite(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Every output for every sample, in LiteRT, through the first signature."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    names = list(interpreter.get_signature_list())
    runner = interpreter.get_signature_runner(names[0])
    details = runner.get_input_details()
    rows = []
    for place in range(len(next(iter(feeds.values())))):
        answer = runner(**dict(_fitted(details, one_of(feeds, place))))
        order = runner.get_output_details()
        rows.append([answer[name] for name in sorted(answer, key=lambda name: _place(name, list(order)))])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _fitted(details: dict[str, Any], feed: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays under the names of the file; a plain conversion calls its inputs args_0, args_1 and so on."""
    for place, (name, array) in enumerate(feed.items()):
        key = name if name in details else f"args_{place}"
        if key in details:
            yield key, array.astype(details[key]["dtype"])


def _place(name: str, order: list[str]) -> tuple[int, int]:
    """`output_10` comes after `output_9`; names that are not numbered keep their order."""
    tail = name.rpartition("_")[2]
    return (int(tail) if tail.isdigit() else order.index(name), order.index(name))
