"""How much of a quantized file is quantized: a file called int8 that computes in float32 is none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact, QuantizedShare
from edgekit.core.errors import EnvironmentFault, ModelUnreadable
from edgekit.core.recipe import Recipe, is_weight_only
from edgekit.core.reports.report import ParityCheck
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.verdict import Verdict
from edgekit.export.formats import share_reader_of

KIND: Final = "share"
LEAST: Final = 0.5
_QUANTIZED: Final = ("int8", "int4")
# ConvInteger, with which ONNX Runtime could quantize convolutions dynamically, takes 3 to 19 times as long as float32.
_DYNAMIC: Final = (
    "; dynamic int8 in .onnx covers MatMul, Gemm and LSTM alone: onnx-int8-static has convolutions in int8, "
    "onnx-int8-weights the weights of every operator"
)


def share_in(recipe: Recipe, path: Path, spec: ModelSpec) -> QuantizedShare | None:
    """The share of the file at `path` that is quantized; None for recipes in float, and where it cannot be read."""
    read = share_reader_of(recipe.format) if recipe.precision in _QUANTIZED else None
    try:
        return read(path, spec) if read else None
    except (EnvironmentFault, ModelUnreadable):  # its backend says more about it
        return None


def share_checks(artifact: Artifact, where: str) -> tuple[ParityCheck, ...]:
    """One check, that half of the work is quantized; of the weights, for recipes of weights alone and where the work is
    not known. None for files in float."""
    found = artifact.quantized
    if found is None or artifact.precision not in _QUANTIZED:
        return ()
    judges_work = not is_weight_only(artifact.recipe) and found.work is not None
    value = found.work if judges_work else found.weights
    if value is None:
        return ()
    what = "work" if judges_work else "weights"
    case = f"{artifact.precision} share"
    verdict = Verdict.PASS if value >= LEAST else Verdict.FAIL
    return (
        ParityCheck(artifact.recipe, where, case, what, KIND, value, LEAST, verdict, reason=_reason(artifact, what)),
    )


def _reason(artifact: Artifact, what: str) -> str:
    found = artifact.quantized
    assert found is not None
    if what == "weights":
        return found.reason and f"{found.reason}, so the weights are counted"
    stored = "" if found.weights is None else f"; {found.weights:.0%} of the weights are stored in 8 bits or fewer"
    is_dynamic = artifact.format == "onnx" and "-dynamic" in artifact.recipe and (found.work or 0) < LEAST
    instead = _DYNAMIC if is_dynamic else ""
    return f"{found.work or 0:.1%} of the multiplications by weights are of integers{stored}{instead}"
