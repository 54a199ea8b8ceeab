"""A network that returns its input, and backends that return nearly that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.core.reports.report import ParityCheck
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.verdict import Verdict
from edgekit.export.checking.cases import Case
from edgekit.export.checking.parity import validate_artifact

Make = Callable[..., Any]
Answer = Callable[[Feed], Feed]

SPEC = ModelSpec(
    "net",
    "classification",
    (TensorSpec("x", "float32", ("N", 4)),),
    (TensorSpec("y", "float32", ("N", 4)),),
    sizes={"N": (1,)},
)
X = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
RANGE = float(X.max() - X.min())


def echo(feed: Feed) -> Feed:
    return {"y": feed["x"]}


def off_by(amount: float, row: int = 7) -> Answer:
    """Wrong by `amount` in one element of the row that holds sample `row`."""

    def answer(feed: Feed) -> Feed:
        y = feed["x"].copy()
        y[(feed["x"] == X[row]).all(axis=1), 2] += amount
        return {"y": y}

    return answer


def noisy(share: float) -> Answer:
    """Noise of this share of the signal's own size."""
    noise = np.random.default_rng(1).normal(size=X.shape).astype(np.float32) * share * float(np.sqrt((X**2).mean()))
    return lambda feed: {"y": np.add(feed["x"], noise[: len(feed["x"])])}


def samples(count: int = 64) -> Samples:
    return Samples({"x": X[:count]}, expected={"y": X[:count]})


def batch(size: int) -> Case:
    return Case(f"N={size}", {"N": size}, {"x": X[:size]}, {"y": X[:size]}, rows=size)


def replaced_outputs(array: Any) -> ModelSpec:
    shape = ("N", *array.shape[1:])
    return ModelSpec("net", "other", SPEC.inputs, (TensorSpec("y", "float32", shape),), sizes={"N": (1,)})


def checks_of(*arguments: Any) -> tuple[ParityCheck, ...]:
    checks, _ = validate_artifact(*arguments)
    return checks


def failed(checks: tuple[ParityCheck, ...]) -> list[ParityCheck]:
    return [check for check in checks if check.verdict is Verdict.FAIL]
