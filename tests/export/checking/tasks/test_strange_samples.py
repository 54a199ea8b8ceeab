"""Samples of a bundle that are none, or that belong to something else, are told."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Done
from tests.cli.conftest import edgekit as edgekit  # noqa: PLC0414 - a fixture
from tests.cli.conftest import quiet_home as quiet_home  # noqa: PLC0414 - a fixture
from tests.hostile.bundles import bundle as bundle  # noqa: PLC0414 - a fixture
from tests.hostile.bundles import changed as changed  # noqa: PLC0414 - a fixture
from tests.hostile.bundles import spec

Run = Callable[..., Done]
VALUES = np.zeros((4, 4), np.float32)
SAMPLES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "no input": {"label": np.zeros(3, int)},
    "scalar input": {"input:x": np.float32(1)},
    "scalar output": {"input:x": VALUES, "expected:yx": np.float32(0)},
    "text labels": {"input:x": VALUES, "label": np.array(list("abcd"))},
    "endless labels": {"input:x": VALUES, "label": np.full(4, np.nan)},
    "samples of another model": {"input:z": VALUES},
    "references of another model": {"input:x": VALUES, "expected:z": VALUES},
    "labels of others": {"input:x": VALUES, "label": np.zeros(0, int)},
    "labels in rows": {"input:x": VALUES, "label": np.zeros((4, 2), int)},
    "targets of others": {"input:x": VALUES, "target:yx": VALUES[:2, :3]},
    "references of others": {"input:x": VALUES, "expected:yx": VALUES[:3, :3]},
    "different counts": {"input:x": VALUES, "input:z": VALUES[:2]},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_that_are_none_are_told(edgekit: Run, changed: Callable[..., Path], name: str) -> None:
    content = io.BytesIO()
    np.savez(content, **SAMPLES[name])

    bundle = changed(samples__npz=content.getvalue())

    for arguments in (["run", str(bundle), "--input", "sample:0"], ["validate", str(bundle)]):
        told = edgekit(*arguments)
        assert told.code == 5, told.err
        assert "does not contain samples" in told.err


TARGETS: dict[str, tuple[str, dict[str, Any]]] = {
    "one value for three": ("mae", {"target:yx": np.zeros(4, np.float32)}),
    "another output": ("mse", {"target:z": np.zeros((4, 3), np.float32)}),
    "labels for masks": ("miou", {"label": np.zeros(4, int)}),
    "labels for objects": ("map50", {"label": np.zeros(4, int)}),
    "objects of five numbers": ("map", {"target:objects": np.zeros((4, 2, 5), np.float32)}),
    "masks of text": ("pixel_accuracy", {"target:mask": np.full((4, 2, 2), "a")}),
}


@pytest.mark.parametrize("name", TARGETS)
def test_true_values_of_something_else_are_told(edgekit: Run, changed: Callable[..., Path], name: str) -> None:
    metric, true = TARGETS[name]
    content = io.BytesIO()
    arrays: dict[str, Any] = {"input:x": VALUES, "expected:yx": VALUES[:, :3], **true}
    np.savez(content, **arrays)

    bundle = changed(spec(metric={"name": metric}), samples__npz=content.getvalue())
    told = edgekit("validate", str(bundle))

    assert told.code in (2, 5), told.err
    assert "The samples have" in told.err
