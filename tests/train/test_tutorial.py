"""The code of docs/tutorial-model.md runs as it stands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from edgekit.core.system.registry import Registry
from edgekit.train.training_run import read_run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial-model.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_model_of_the_tutorial_trains_to_its_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wine.py").write_text("\n".join(BLOCKS), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("wine", tmp_path / "wine.py")
    assert spec is not None
    assert spec.loader is not None

    spec.loader.exec_module(importlib.util.module_from_spec(spec))

    run = read_run(tmp_path / "runs" / "wine")
    assert run.quality.value is not None
    assert run.quality.value >= 0.9


def test_the_line_of_the_tutorial_registers_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tutorial_wine.py").write_text("\n".join(BLOCKS[:-1]), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    line = re.search(
        r'^"(\w+)": \("edgekit\.train\.models\.tables\.wine:(\w+)", "(.*)"\),$', PAGE.read_text(), re.MULTILINE
    )
    assert line is not None
    name, attribute, summary = line.groups()

    models = Registry("model", {name: (f"tutorial_wine:{attribute}", summary)})

    assert models.get("wine").spec.name == "wine"
