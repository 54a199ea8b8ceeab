"""The fake backend: a documented file, real answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.core.errors import ModelUnreadable, ProviderRefused
from edgekit.runtime.backends.fake import FakeBackend

X = {"name": "x", "dtype": "float32", "shape": ["N", 2]}


def write(folder: Path, **model: Any) -> Path:
    file = folder / "net.fake.json"
    file.write_text(json.dumps({"schema_version": 1, "inputs": [X], **model}))
    return file


def test_the_documented_example_answers(tmp_path: Path) -> None:
    weights = [[1, 0, 2], [0, 1, 2]]
    outputs = [{"name": "y", "input": "x", "weights": weights, "offset": [0, 0, 1]}, {"name": "z", "constant": [1.5]}]
    file = write(tmp_path, outputs=outputs, delay_s=0.001)

    with FakeBackend().open(file, {}) as session:
        found = session.run({"x": np.array([[1, 2]], np.float32)})

    assert [str(tensor) for tensor in session.outputs] == ["y:float32[N,3]", "z:float32[1]"]
    assert {name: array.tolist() for name, array in found.items()} == {"y": [[1, 2, 7]], "z": [1.5]}


@pytest.mark.parametrize(
    "output",
    [{"name": "y"}, {"name": "y", "input": "q", "weights": [[1]]}, {"name": "y", "input": "x", "weights": [[1]]}],
)
def test_an_output_without_an_answer_is_unreadable(tmp_path: Path, output: dict[str, Any]) -> None:
    with pytest.raises(ModelUnreadable, match="'y'"):
        FakeBackend().open(write(tmp_path, outputs=[output]), {})


def test_a_wrong_field_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreadable, match="dely_s"):
        FakeBackend().open(write(tmp_path, outputs=[], dely_s=1), {})


def test_every_provider_but_cpu_refuses(tmp_path: Path) -> None:
    with pytest.raises(ProviderRefused):
        FakeBackend().open(write(tmp_path, outputs=[]), {"provider": "cuda"})
