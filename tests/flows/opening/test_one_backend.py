"""A machine with one backend uses what it runs; a package that is missing is named, and no model is called broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import MissingExtra
from edgekit.export.checking.ranges import range_checks
from edgekit.flows.export import export
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.opening.source import SourceOptions
from edgekit.flows.profile import profile
from edgekit.flows.run import run
from edgekit.flows.validate import validate
from edgekit.train.registry import MODELS

RECIPES = ("tflite-fp32", "onnx-fp32", "onnx-int8-static-u8s8")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose first artifact is one of LiteRT."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("both")
    images, labels = load_digits(return_X_y=True)
    np.savez(folder / "s.npz", x=(images[:96] / 16).astype(np.float32).reshape(-1, 1, 8, 8), label=labels[:96] % 3)
    net = Path(__file__).parents[1] / "nets" / "nets.py"
    export(f"{net}:small", out=folder / "both", to=RECIPES, options=SourceOptions(samples=folder / "s.npz"))
    return folder / "both"


@pytest.fixture
def without_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "ai_edge_litert"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)


@pytest.mark.slow
@pytest.mark.usefixtures("without_litert")
def test_the_default_artifact_is_one_that_the_only_backend_runs(both: Path) -> None:
    report = run(both, input=["sample:0"])

    assert report.artifact == "onnx-fp32"


@pytest.mark.slow
@pytest.mark.usefixtures("without_litert")
def test_an_artifact_that_was_asked_for_is_not_exchanged(both: Path) -> None:
    with pytest.raises(MissingExtra, match="'ai_edge_litert"):
        run(both, input=["sample:0"], artifact="tflite-fp32")


@pytest.mark.slow
@pytest.mark.usefixtures("without_litert")
def test_what_has_no_backend_here_is_left_out_with_the_command_that_installs_it(both: Path) -> None:
    validated = validate(both)
    profiled = profile(both, launches=2, time_limit_s=0.05)

    for report in (validated, profiled):
        assert [one.recipe for one in report.artifacts] == list(RECIPES[1:])
        # A processor without VNNI adds a warning of its own about int8.
        (warning,) = (one for one in report.warnings if one.startswith("tflite-fp32: left out."))
        assert 'pip install "ai-edge-litert' in warning


@pytest.mark.slow
def test_int8_ranges_are_not_read_without_the_package_that_reads_them(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(both) as found:
        (int8,) = found.chosen(("onnx-int8-static-u8s8",))
        given = (found.files[int8.recipe], int8, found.spec, found.samples, "onnxruntime")
        with_onnx = range_checks(*given)
        monkeypatch.setitem(sys.modules, "onnx", None)

        assert with_onnx
        assert range_checks(*given) == ()


def test_a_reference_model_without_torch_is_not_broken() -> None:
    """In a process of its own: this one has imported torch."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from edgekit.core.errors import MissingExtra\n"
        "from edgekit.train.registry import MODELS\n"
        "try: MODELS.get('digits')\n"
        "except MissingExtra as err: print(err.message, '|', err.hint)\n"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "digits" in MODELS
    message, _, hint = said.strip().partition(" | ")
    assert message == "The model 'digits' needs the package 'torch', which is not installed."
    assert hint == 'pip install "torch>=2.10"'
