"""`edgekit export`: a bundle of validated artifacts from a network."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.bundle import CASES, SAMPLES, Manifest, write_manifest
from edgekit.core.errors import UserError
from edgekit.core.recipe import Recipe, parse_recipes
from edgekit.core.reports.report import Outcome, Report
from edgekit.core.samples import Samples
from edgekit.core.system.files import new_folder, refuse_existing
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import worst
from edgekit.export.accuracy_control import mended
from edgekit.export.checking.cases import save_cases
from edgekit.export.conversion import ExportRequest, ExportResult, export_artifacts
from edgekit.export.model_files import kind_of
from edgekit.export.raw_inputs import raw_input_of, raw_samples, raw_spec
from edgekit.export.routes import default_recipes
from edgekit.flows.opening.cache import conversion_cache
from edgekit.flows.opening.source import Source, SourceOptions, open_source, refuse_impossible
from edgekit.flows.opening.versions import versions
from edgekit.flows.order import Plan
from edgekit.flows.writing.model_card import model_card
from edgekit.runtime.facts import read_facts

KEPT_SAMPLES: Final = 64
_MAX_SAMPLE_BYTES: Final = 8 << 20


@dataclass(frozen=True)
class ExportOptions:
    """How artifacts are made.

    `max_drop` is the largest drop of a quantized one: a share of 1, also of an error. With `raw` they hold their
    pre-processing: uint8 images (N, H, W, C) or int16 audio in, and scores out of a classifier.
    """

    max_drop: float | None = None
    raw: bool = False


@dataclass(frozen=True)
class Exported:
    """A finished export: what was converted, and how good it is."""

    result: ExportResult
    warnings: tuple[str, ...]


def export(
    source: str,
    *,
    out: str | Path,
    to: str | Sequence[str] = (),
    options: SourceOptions = SourceOptions(),
    how: ExportOptions = ExportOptions(),
    settings: Settings = Settings(),
    force: bool = False,
    progress: Progress = Silent(),
) -> Report:
    """Export `source` by every recipe in `to`, validate each artifact at once, and write the bundle `out`.

    Args:
        source: Reference model, run directory, `file.py:factory` (whose code is run), or an .onnx, .tflite or .pt2.
        out: Directory of the bundle; written whole or not at all.
        to: Recipe names or aliases; what suits the source for none.
        how: Accuracy that has to be kept.

    Raises:
        UserError, EnvironmentFault, ConversionFailed, Unreadable: As their messages say.
    """
    recipes = parse_recipes(to or default_recipes(source))
    refuse_existing(Path(out), force=force)
    opened = prepared_source(open_source(source, options, settings), how)
    refuse_impossible(opened, recipes)
    refuse_unmendable(opened, recipes, how)
    with new_folder(Path(out), force=force) as staging:
        exported = write_bundle(opened, recipes, staging, settings, progress, how)
    verdict = worst(check.verdict for check in exported.result.parity)
    return Report(
        command="export",
        created=_now(),
        spec=exported.result.spec,
        bundle=str(out),
        split=opened.split.facts(opened.samples_from),
        artifacts=exported.result.artifacts,
        parity=exported.result.parity,
        accuracy=exported.result.accuracy,
        outcomes=(Outcome("local", verdict),),
        tools=versions(),
        warnings=exported.warnings,
        verdict=verdict,
        seed=settings.seed,
    )


def plan_export(
    source: str,
    *,
    out: str | Path,
    to: str | Sequence[str] = (),
    options: SourceOptions = SourceOptions(),
    how: ExportOptions = ExportOptions(),
    settings: Settings = Settings(),
    force: bool = False,
) -> Plan:
    """What `export` with the same arguments would do."""
    recipes = parse_recipes(to or default_recipes(source))
    refuse_existing(Path(out), force=force)
    opened = prepared_source(open_source(source, options, settings), how)
    refuse_impossible(opened, recipes)
    refuse_unmendable(opened, recipes, how)
    return Plan("export", (*export_steps(opened, recipes, how), f"write the bundle '{out}'"))


def prepared_source(source: Source, how: ExportOptions) -> Source:
    """The source with its pre-processing inside where `how` says so, and samples of raw values.

    Raises:
        UserError: It is no torch module, or says of no pre-processing.
    """
    if not how.raw:
        return source
    if kind_of(source.module.location) != "torch" or source.module.location.endswith(".pt2"):
        raise UserError(
            f"'{source.module.location}' was exported already; pre-processing is put in front of a network.",
            hint="Leave --with-preprocessing out, or export from FILE.py:FACTORY.",
        )
    parts, changes = zip(
        *(raw_samples(part, source.spec) for part in (source.split.calibration, source.split.evaluation)), strict=True
    )
    told = f"The samples are no whole raw values: they were rounded by up to {max(changes):.2g} steps."
    return replace(
        source,
        module=msgspec.structs.replace(source.module, raw=raw_input_of(source.spec)),
        spec=raw_spec(source.spec),
        split=replace(source.split, calibration=parts[0], evaluation=parts[1]),
        warnings=(*source.warnings, *([told] if max(changes) else [])),
    )


def refuse_unmendable(source: Source, recipes: Sequence[Recipe], how: ExportOptions) -> None:
    """Raise when a largest drop was given that cannot be measured, or kept."""
    if how.max_drop is None:
        return
    if not source.split.evaluation.is_labelled:
        raise UserError("--max-drop needs samples with labels or targets, and these have none.", hint="--samples FILE")
    for recipe in recipes:
        whole = f"{recipe.format}-fp32"
        if recipe.precision not in ("fp32", "fp16") and whole not in {one.name for one in recipes}:
            raise UserError(
                f"--max-drop finds what to keep of '{recipe.name}' in float by comparing it with '{whole}'.",
                hint=f"--to {','.join(dict.fromkeys([whole, *(one.name for one in recipes)]))}",
            )


def export_steps(source: Source, recipes: Sequence[Recipe], how: ExportOptions = ExportOptions()) -> tuple[str, ...]:
    """The steps of an export as sentences."""
    split = source.split
    may_calibrate = any(recipe.needs_calibration or recipe.is_alias for recipe in recipes)
    calibrating = [f"calibrate static int8 on {len(split.calibration)} samples of {source.samples_from}"]
    return (
        f"load '{source.spec.name}' and compute its outputs on {len(split.evaluation)} held-back samples",
        *(f"make '{recipe.name}' and check its parity" for recipe in recipes),
        *(calibrating if may_calibrate else ()),
        *((f"keep in float what costs more than {100 * how.max_drop:g} pt",) if how.max_drop is not None else ()),
    )


def write_bundle(
    source: Source,
    recipes: tuple[Recipe, ...],
    folder: Path,
    settings: Settings,
    progress: Progress,
    how: ExportOptions = ExportOptions(),
) -> Exported:
    """Convert, validate and measure accuracy, and leave a complete bundle in `folder`."""
    request = ExportRequest(
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
    with progress.stage("export and parity"):
        result = export_artifacts(request, folder, cache=conversion_cache(settings), progress=progress)
    if how.max_drop is not None:
        with progress.stage("accuracy control"):
            result = mended(result, request, folder, how.max_drop)
    _write_rest(source, result, folder)
    return Exported(result, (*source.warnings, *result.warnings))


def _write_rest(source: Source, result: ExportResult, folder: Path) -> None:
    """Everything of a bundle but its artifacts."""
    if not source.terms:  # cases are made from samples
        _kept(result.evaluation).save(folder / SAMPLES)
        save_cases(folder / CASES, result.cases)
    weights = Path(source.module.weights)
    if weights.suffix == ".safetensors":
        shutil.copyfile(weights, folder / "weights.safetensors")
    if result.spec.labels:
        (folder / "labels.txt").write_text("\n".join(result.spec.labels) + "\n", encoding="utf-8")
    facts = source.split.facts(source.samples_from)
    manifest = Manifest(result.spec, result.artifacts, {}, _now(), versions(), source.facts, facts)
    (folder / "README.md").write_text(model_card(manifest, result.parity, result.accuracy), encoding="utf-8")
    write_manifest(folder, manifest)


def _kept(samples: Samples) -> Samples:
    """The samples that travel: enough to validate with, few enough to send to a phone."""
    one = sum(array[:1].nbytes for array in (*samples.inputs.values(), *samples.expected.values()))
    return samples.take(slice(0, max(1, min(KEPT_SAMPLES, _MAX_SAMPLE_BYTES // max(one, 1)))))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
