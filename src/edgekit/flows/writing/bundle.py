"""Writing a bundle: artifacts are converted from a source, checked, and written with samples, cases and model card."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.bundle import CASES, SAMPLES, WEIGHTS, Bundle, Manifest, write_manifest
from edgekit.core.errors import UserError
from edgekit.core.recipe import Recipe
from edgekit.core.reports.report import Accuracy, ParityCheck, RecipeFailure
from edgekit.core.system.documents import source_date
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.export.accuracy_control import control_accuracy
from edgekit.export.checking.cases import save_cases
from edgekit.export.checking.parity import WHOLE
from edgekit.export.conversion import export_artifacts
from edgekit.export.request import ExportRequest, ExportResult
from edgekit.flows.fleet.profiled import Profiled
from edgekit.flows.measuring.findings import Findings
from edgekit.flows.opening.artifacts import Opened, of_bundle
from edgekit.flows.opening.cache import conversion_cache
from edgekit.flows.opening.source import ExportOptions, Source
from edgekit.flows.opening.states import with_states
from edgekit.flows.opening.versions import versions
from edgekit.flows.writing.model_card import model_card
from edgekit.runtime.facts import read_facts

KEPT_SAMPLES: Final = 64
_MAX_SAMPLE_BYTES: Final = 8 << 20


@dataclass(frozen=True)
class Written:
    """A bundle that was just written, still open, with its parity and accuracy, and what could not be made."""

    source: Source
    found: Opened
    parity: tuple[ParityCheck, ...]
    accuracy: tuple[Accuracy, ...]
    warnings: tuple[str, ...]
    failures: tuple[RecipeFailure, ...] = ()

    def findings(self, bundle: Path, profiled: Profiled | None = None) -> Findings:
        """The findings about the artifacts; `bundle` is the final path of the bundle."""
        return Findings(
            self.found.spec,
            str(bundle),
            self.found.artifacts,
            self.parity,
            self.accuracy,
            profiled or Profiled(),
            self.source.split.facts(self.source.samples_from),
            self.source.training,
            self.warnings,
            self.failures,
        )


def writing_steps(source: Source, recipes: tuple[Recipe, ...], how: ExportOptions) -> tuple[str, ...]:
    """What `write_bundle` would do, one sentence per step."""
    split = source.split
    may_calibrate = any(recipe.needs_calibration or recipe.is_alias for recipe in recipes)
    calibrating = [f"calibrate static int8 on {len(split.calibration)} samples of {source.samples_from}"]
    return (
        *((source.download,) if source.download else ()),
        f"load '{source.spec.name}' and compute its outputs on {len(split.evaluation)} held-back samples",
        *converting_steps(recipes),
        *(calibrating if may_calibrate else ()),
        *(
            (f"keep operators in float32 until int8 loses at most {100 * how.max_drop:g} pt",)
            if how.max_drop is not None
            else ()
        ),
    )


def converting_steps(recipes: tuple[Recipe, ...]) -> tuple[str, ...]:
    """The steps that are known before the source is open."""
    return tuple(f"make '{recipe.name}' and check its parity" for recipe in recipes)


def write_bundle(
    source: Source,
    recipes: tuple[Recipe, ...],
    folder: Path,
    settings: Settings,
    progress: Progress,
    how: ExportOptions = ExportOptions(),
) -> Written:
    """Convert, validate and measure accuracy, and write a complete bundle to `folder`.

    A recipe that cannot be made is left out, and reported in `failures`, unless `how` says otherwise.
    """
    request = dataclasses.replace(
        _request(source, recipes, settings), keep_going=how.keep_going, opset=how.opset, int8_time_s=how.int8_time_s
    )
    if source.download:
        with progress.stage(source.download):
            pass  # said before it starts: the worker downloads while it builds the module
    with progress.stage("export and parity"):
        result = export_artifacts(request, folder, cache=conversion_cache(settings), progress=progress)
    result = dataclasses.replace(result, spec=with_states(result.spec))
    if how.max_drop is not None:
        _refuse_untrained(result)
        with progress.stage("accuracy control"):
            result = control_accuracy(result, request, folder, how.max_drop)
    bundle = _write_rest(source, result, folder)
    warnings = (*source.warnings, *result.warnings, *_about_failing(source, result))
    return Written(source, of_bundle(bundle), result.parity, result.accuracy, warnings, result.failures)


def _refuse_untrained(result: ExportResult) -> None:
    if result.spec.is_untrained:
        raise UserError(
            "--max-drop cannot be judged: the weights of the factory are a random initialisation.",
            hint="--weights FILE",
        )


def _request(source: Source, recipes: tuple[Recipe, ...], settings: Settings) -> ExportRequest:
    return ExportRequest(
        module=source.module,
        spec=source.spec,
        recipes=recipes,
        calibration=source.split.calibration,
        evaluation=source.split.evaluation,
        cpu_features=frozenset(read_facts().features),
        timeout_s=settings.timeout_s,
        seed=settings.seed,
        method=source.calibration_method,
    )


def _write_rest(source: Source, result: ExportResult, folder: Path) -> Bundle:
    """Everything of a bundle but its artifacts."""
    if not source.terms:  # cases are made from samples
        result.evaluation.take(_kept(result)).save(folder / SAMPLES)
        save_cases(folder / CASES, result.cases)
    weights = Path(source.module.weights)
    if weights.suffix == ".safetensors":
        shutil.copyfile(weights, folder / WEIGHTS)
    if result.spec.labels:
        (folder / "labels.txt").write_text("\n".join(result.spec.labels) + "\n", encoding="utf-8")
    facts = source.split.facts(source.samples_from)
    manifest = Manifest(result.spec, result.artifacts, {}, source_date(), versions(), source.facts, facts)
    (folder / "README.md").write_text(model_card(manifest, result.parity, result.accuracy), encoding="utf-8")
    return Bundle(folder, folder, write_manifest(folder, manifest), None)


def _kept(result: ExportResult) -> list[int]:
    """The samples that travel: enough to validate with, few enough to send to a phone, and those that fail."""
    samples = result.evaluation
    one = sum(array[:1].nbytes for array in (*samples.inputs.values(), *samples.expected.values()))
    first = range(max(1, min(len(samples), KEPT_SAMPLES, _MAX_SAMPLE_BYTES // max(one, 1))))
    return list(dict.fromkeys([*first, *_failing(result)]))


def _failing(result: ExportResult) -> dict[int, list[str]]:
    """The samples on which an output differs most from the reference where parity failed, with the artifacts."""
    found: dict[int, list[str]] = {}
    for check in result.parity:
        if check.verdict is Verdict.FAIL and check.case == WHOLE and check.sample is not None:
            found.setdefault(check.sample, []).append(check.artifact)
    return {row: list(dict.fromkeys(names)) for row, names in sorted(found.items())}


def _about_failing(source: Source, result: ExportResult) -> Iterator[str]:
    """Where the failing samples are: which of the bundle, or by which checksum they are found in the data."""
    kept = _kept(result)
    for row, names in _failing(result).items():
        what = f"Sample {row}, on which {', '.join(names)} failed, is"
        if source.terms:
            digest = result.evaluation.take([row]).digest()
            yield f"{what} not in the bundle ({source.terms}): sha256 {digest}; --include-samples includes it."
        elif kept.index(row) != row:
            yield f"{what} sample {kept.index(row)} of the bundle."
