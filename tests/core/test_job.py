"""What a launch cannot have measured is no result."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgekit.core.job import JobResult

RESULT: dict[str, Any] = {
    "backend": "onnxruntime",
    "engine": "1.31.1",
    "provider": "cpu",
    "values": [0.001],
    "warmups": [],
    "load_s": 0.1,
    "first_run_s": 0.002,
    "before": {},
    "after": {},
}


def test_a_memory_that_no_device_has_is_refused() -> None:
    whole = msgspec.convert(RESULT | {"peak_memory_bytes": 1 << 50}, JobResult)

    assert whole.peak_memory_bytes == 1 << 50
    with pytest.raises(msgspec.ValidationError, match="peak_memory_bytes"):
        msgspec.convert(RESULT | {"peak_memory_bytes": (1 << 53) + 1}, JobResult)
