"""Which quantized tensors are judged by how much of their range they use."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit.core.bundle import Artifact
from edgekit.core.samples import Samples
from edgekit.core.spec import ModelSpec
from edgekit.core.verdict import Verdict
from edgekit.export import ranges
from edgekit.export.ranges import range_checks, rarely_used, used_shares

ARTIFACT = Artifact("onnx-int8-static-u8s8", "m.onnx", "onnx", "int8", 1, "0" * 64, "1" * 64, (), ())
SAMPLES = Samples({"x": np.zeros((4, 1), np.float32)})


@pytest.mark.parametrize(
    ("size", "span", "share"),
    [(256, 25, 26 / 256), (64, 255, 1.0), (63, 25, None), (256, 0, None)],
    ids=["a tenth", "all", "too few values", "constant"],
)
def test_shares_are_those_of_tensors_seen_often_enough(
    monkeypatch: pytest.MonkeyPatch, size: int, span: int, share: float | None
) -> None:
    values = np.resize(np.array([-100, -100 + span], np.int64), size)
    monkeypatch.setattr(ranges, "_runs", lambda *_: iter([{"t": values}] * 4))

    found = used_shares(Path("m.onnx"), ARTIFACT, ModelSpec("m", "other", ()), SAMPLES)

    assert found == ({} if share is None else {"t": share})


def test_a_tensor_that_only_calibration_fills_is_not_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    made = msgspec.structs.replace(ARTIFACT, record={"calibration": {"count": 4}})
    filled = {"rare": 0.9, "wrong": 0.1}
    monkeypatch.setattr(ranges, "used_shares", lambda *_, **__: filled)
    shares = {"rare": 0.08, "wrong": 0.1, "right": 0.95}

    rare = rarely_used(Path("m.onnx"), made, ModelSpec("m", "other", ()), shares, SAMPLES)
    (with_both,) = range_checks(msgspec.structs.replace(made, rare=rare), shares, "onnxruntime")
    (without,) = range_checks(msgspec.structs.replace(made, rare=("rare", "wrong")), shares, "onnxruntime")

    assert rare == ("rare",)
    assert (with_both.output, with_both.verdict) == ("wrong", Verdict.FAIL)
    assert (without.output, without.verdict) == ("right", Verdict.PASS)
