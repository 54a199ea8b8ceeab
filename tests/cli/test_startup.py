from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "numpy",
    "rich",
    "msgspec",
    "torch",
    "onnx",
    "onnxruntime",
    "platformdirs",
    "psutil",
    "asyncio",
    "sqlalchemy",
    "alembic",
    "fastapi",
    "uvicorn",
)


def _loaded_by(*arguments: str) -> set[str]:
    """Top-level names of the modules a process has loaded when it ran these arguments."""
    code = (
        f"import sys; from edgekit.cli.main import run; run({list(arguments)!r}); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_first_page_imports_click_and_nothing_heavy(argument: str) -> None:
    loaded = _loaded_by(argument)

    assert "click" in loaded
    assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize("arguments", [("list", "models"), ("list", "backends"), ("config", "show")])
def test_looking_around_imports_no_engine(arguments: tuple[str, ...]) -> None:
    assert not _loaded_by(*arguments).intersection(
        {"sqlalchemy", "torch", "onnx", "onnxruntime", "ai_edge_litert", "scipy"}
    )


def test_an_engine_behind_edgekit_keeps_no_identifier_and_sends_nothing(tmp_path: Path) -> None:
    """ONNX Runtime writes a device identifier and a queue of events to the home folder when it is imported."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", "XDG_DATA_HOME": ""}

    subprocess.run([sys.executable, "-c", "import edgekit, onnxruntime"], env=environment, check=True, timeout=60)

    assert list(tmp_path.iterdir()) == []
