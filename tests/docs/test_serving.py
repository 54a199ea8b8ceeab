"""The code of docs/serving.md runs as it is written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.flows.nets.small_bundles import classifier  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs(
    tmp_path: Path,
    classifier: Path,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(ROOT / "tests/runtime/data/linear.onnx", tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"rows": np.ones((12, 3), np.float32)}
    classifier.rename(tmp_path / "photos-bundle")
    Image.fromarray(np.full((6, 6), 250, np.uint8)).save(tmp_path / "seven.png")

    for block in blocks:
        exec(block, names)

    assert len(blocks) == 6
    assert capsys.readouterr().out == "light True\n" + "(1, 2)\n" * 12
    np.testing.assert_array_equal(names["latest"].outputs["y"], [[0, -1.25]])
