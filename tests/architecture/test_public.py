"""What `edgekit` offers, and what its layers do without."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys

import pytest

import edgekit
from edgekit import core, devices, runtime

PUBLIC = {
    "SessionPool",
    "Settings",
    "SourceOptions",
    "__version__",
    "build",
    "compare",
    "export_model",
    "load",
    "newest",
    "profile",
    "run",
    "run_batch",
    "sweep",
    "stream",
    "train_model",
    "tune",
    "validate",
}
HEAVY = ("torch", "onnx", "onnxscript", "onnxruntime", "tensorflow", "jax", "litert_torch", "ai_edge_litert", "scipy")
BLOCK = """
import importlib, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("blocked: " + name, name=name)

sys.meta_path.insert(0, Block())
for module in {modules!r}:
    importlib.import_module(module)
"""


def modules_of(*packages: object) -> list[str]:
    return [
        info.name
        for package in packages
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")  # type: ignore[attr-defined]  # packages
    ]


def python(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(edgekit.__all__) == PUBLIC
    assert set(dir(edgekit)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_exists_and_says_what_it_is(name: str) -> None:
    value = getattr(edgekit, name)

    assert isinstance(value, str) or inspect.getdoc(value)


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'edgekit' has no attribute 'biuld'"):
        _ = edgekit.biuld


def test_importing_edgekit_loads_neither_numpy_nor_an_engine() -> None:
    done = python(f"import sys, edgekit; print([name for name in {('numpy', *HEAVY)!r} if name in sys.modules])")

    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("package", [core, runtime, devices], ids=lambda package: package.__name__)
def test_core_runtime_and_devices_import_where_no_engine_and_no_converter_is(package: object) -> None:
    modules = modules_of(package)

    done = python(BLOCK.format(blocked=set(HEAVY), modules=modules))

    assert len(modules) > 1
    assert done.returncode == 0, done.stderr


def test_the_block_is_seen_by_whoever_imports_a_blocked_package() -> None:
    done = python(BLOCK.format(blocked=set(HEAVY), modules=["torch.nn"]))

    assert "ModuleNotFoundError: blocked: torch" in done.stderr
