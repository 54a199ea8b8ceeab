"""What is to be exported, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.core.bundle import Artifact
from edgekit.core.recipe import Recipe
from edgekit.core.reports.report import Accuracy, ParityCheck, RecipeFailure
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.best_int8 import INT8_TIME_S
from edgekit.export.checking.cases import Case
from edgekit.export.messages import ModuleRef


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to convert, into what, and with which samples.

    `spec.outputs` may be empty: they are then taken from the module. `recipes` may be aliases, which are resolved by
    the network's operators and `cpu_features`. `timeout_s` applies to each conversion. With `keep_going` a recipe that
    cannot be made is left out as long as others can. `opset` is that of .onnx files; 0 means the default.
    """

    module: ModuleRef
    spec: ModelSpec
    recipes: tuple[Recipe, ...]
    calibration: Samples
    evaluation: Samples
    cpu_features: frozenset[str] = frozenset()
    timeout_s: float = 600.0
    seed: int = 0
    method: str = "min-max"
    keep_going: bool = False
    opset: int = 0
    int8_time_s: float = INT8_TIME_S


@dataclass(frozen=True)
class ExportResult:
    """The artifacts, in the order requested, how they compare with PyTorch, and how good they are.

    `evaluation` contains PyTorch's outputs; failing parity checks are listed in `parity` and raise nothing. `failures`
    are the recipes that could not be made.
    """

    spec: ModelSpec
    artifacts: tuple[Artifact, ...]
    evaluation: Samples
    cases: tuple[Case, ...]
    parity: tuple[ParityCheck, ...]
    accuracy: tuple[Accuracy, ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[RecipeFailure, ...] = ()
