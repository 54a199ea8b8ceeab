"""Conversion: every artifact of a model, made by workers in parallel and validated immediately."""

from __future__ import annotations

import dataclasses
import queue
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.bundle import Artifact, artifact_id
from edgekit.core.errors import from_os_error
from edgekit.core.recipe import OUTLIERS, Recipe, modes_of
from edgekit.core.refusals import refuse
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.verdict import Verdict
from edgekit.export import messages
from edgekit.export.best_int8 import Attempt
from edgekit.export.checking.artifact_checks import check_file, with_decision
from edgekit.export.checking.calibration_quality import warnings_of
from edgekit.export.checking.cases import make_cases
from edgekit.export.checking.sampling import MAX_OUTPUT_BYTES, bounded
from edgekit.export.checking.shares import share_in
from edgekit.export.fixed_shapes import refuse_unfitting, refuse_varying
from edgekit.export.formats import format_of
from edgekit.export.int8_search import Int8Search
from edgekit.export.mixing.trials import MixedArtifact
from edgekit.export.recipe_failures import Failures
from edgekit.export.request import ExportRequest, ExportResult
from edgekit.export.routes import exporter_of
from edgekit.export.shapes.calibration import trace_feed
from edgekit.export.shapes.lengths import sizes_of_samples, with_sizes
from edgekit.export.shapes.single import in_batches_of_one, of_one
from edgekit.export.workers.arrays import save_arrays
from edgekit.export.workers.cache import ConversionCache, key_of
from edgekit.export.workers.reference import OneSampleOnly, Reference, ask_reference
from edgekit.export.workers.toolchain import WEIGHTS, Lane, Made, NotMade, Subject
from edgekit.export.workers.versions import versions
from edgekit.export.workers.worker import Worker, workers_of


def export_artifacts(
    request: ExportRequest, out: Path, *, cache: Path | None = None, progress: Progress = Silent()
) -> ExportResult:
    """Make every artifact in `out`, each checked on its real backend as soon as it exists.

    Args:
        out: A folder that is created; the caller renames it on success.
        cache: Folder of finished conversions by content. Files from it are checked like new ones.

    Raises:
        UserError: The module cannot be built, run or traced, or a recipe is known not to work on it.
        MissingExtra: A converter is not installed.
        ModelUnreadable: The weights cannot be read.
        ConversionFailed: A converter failed, timed out, was killed, or wrote a file that its backend cannot open.

    With `keep_going` these end the call only if they concern every recipe; else they are `failures` of the result.
    """
    out.mkdir(parents=True, exist_ok=True)
    total = len(request.evaluation)
    request = dataclasses.replace(request, evaluation=bounded(request.evaluation, request.spec))
    spec = with_sizes(request.spec, request.evaluation)
    failures = Failures(request.recipes, keep_going=request.keep_going)
    sizes = sizes_of_samples(request.evaluation, spec)
    fitting = failures.without(lambda one: refuse_unfitting(one, spec, sizes), request.recipes)
    request = dataclasses.replace(request, recipes=fitting)
    formats = dict.fromkeys(recipe.format for recipe in request.recipes)
    with (
        temporary_folder() as folder,
        workers_of(formats, timeout_s=request.timeout_s) as workers,
    ):
        run = _Run(request, out, Path(folder), workers, ConversionCache(cache), failures)
        progress.step(0, len(request.recipes), "PyTorch")
        run.load()
        try:
            reference = run.reference(spec)
        except OneSampleOnly as err:
            request = run.request = _of_one(request)
            reference = run.reference(with_sizes(request.spec, request.evaluation), one_only=err.message)
        modes = _resolved(request, reference, failures)
        recipes = tuple(modes)
        artifacts = run.convert(modes, reference, progress)
        if (Path(folder) / WEIGHTS).is_file():
            _copy(Path(folder) / WEIGHTS, out / WEIGHTS)
    warnings = (
        *reference.warnings,
        *_left_out(total, len(request.evaluation)),
        *_calibrated_on(request, recipes),
        *(f"{one.recipe}: {text}" for one in artifacts for text in one.warnings),
    )
    return run.result(artifacts, reference, warnings)


@dataclass
class _Run:
    """One call of `export_artifacts`."""

    request: ExportRequest
    out: Path
    folder: Path
    workers: dict[str, Worker]
    cache: ConversionCache
    failures: Failures
    parity: list[ParityCheck] = field(default_factory=list)
    accuracy: dict[str, Accuracy] = field(default_factory=dict)

    def load(self) -> None:
        """Start all workers; those that do not run the module first import their converters meanwhile."""
        request, (first, *others) = self.request, self.workers
        self.workers[first].start()
        for name in others if not self.cache.has_seen(self._subject_key) else ():
            exporter = exporter_of(request.module.location, name)
            self.workers[name].load(messages.Load(request.module, exporter, request.seed))

    def reference(self, spec: ModelSpec, one_only: str = "") -> Reference:
        """PyTorch's outputs; `one_only` is why the batch is fixed at 1."""
        request, worker = self.request, next(iter(self.workers.values()))
        cases = make_cases(request.evaluation, spec)
        found = ask_reference(worker, request.module, spec, request.evaluation, cases, self.folder, request.seed)
        note = f"the batch is fixed at 1, and samples run one at a time: {one_only}"
        return dataclasses.replace(found, warnings=(note, *found.warnings)) if one_only else found

    def convert(
        self, modes: Mapping[Recipe, Sequence[Recipe]], reference: Reference, progress: Progress
    ) -> tuple[Artifact, ...]:
        """Convert in one thread per format; validate here while the workers continue.

        Args:
            modes: For every recipe, the others to try if it fails its checks.
        """
        finished: queue.Queue[Made | NotMade] = queue.Queue()
        recipes = tuple(modes)
        lanes = self._lanes(recipes, reference)
        threads = [threading.Thread(target=lane.run, args=(finished,), daemon=True) for lane in lanes]
        made: dict[str, Artifact] = {}
        tried: list[Attempt] = []
        try:
            for thread in threads:
                thread.start()
            for done in range(1, len(recipes) + 1):
                item = finished.get()
                if modes[item.recipe]:
                    tried.append(self._attempt(item, reference))
                else:
                    with self.failures.of(item.recipe):
                        made[item.recipe.name] = self._accept(item, reference)
                progress.step(done, len(recipes), item.recipe.name)
            for first in tried:
                with self.failures.of(first.recipe):
                    made[first.recipe.name] = self._best(first, modes, lanes, reference)
        finally:
            for worker in self.workers.values():
                worker.stop()
            for thread in threads:
                if thread.is_alive():
                    thread.join()
        self.cache.mark_seen(self._subject_key)
        unique = {made[recipe.name].recipe: made[recipe.name] for recipe in recipes if recipe.name in made}
        return tuple(unique.values())

    def _attempt(self, item: Made | NotMade, reference: Reference) -> Attempt:
        """What became of a mode that others can take the place of."""

        def make() -> tuple[Artifact, list[ParityCheck]]:
            artifact = self._accept(item, reference)
            return artifact, self._checks(artifact.recipe)

        return Attempt.of(item.recipe, make)

    def _checks(self, name: str) -> list[ParityCheck]:
        return [check for check in self.parity if check.artifact == name]

    def _best(
        self, first: Attempt, modes: Mapping[Recipe, Sequence[Recipe]], lanes: Sequence[Lane], reference: Reference
    ) -> Artifact:
        """The first mode that passes its checks; nothing stays of the others, unless they were requested as well.

        Where the float32 file fails too, or was not made, the cause is not int8, and no other mode is tried.
        """
        lane = next(lane for lane in lanes if lane.row.name == first.recipe.format)
        fails = any(check.verdict is Verdict.FAIL for check in self._checks(f"{first.recipe.format}-fp32"))
        is_hopeless = fails or not lane.source.is_file()
        others = [] if is_hopeless else [one for one in modes[first.recipe] if one not in modes]
        search = Int8Search(lane, self.out, self.request, reference, lambda item: self._attempt(item, reference))
        found = search.best(first, others, self._replace)
        for one in found.left:
            if one.artifact is not None and one.recipe != found.chosen.recipe:
                (self.out / one.artifact.file).unlink(missing_ok=True)
                self.parity = [check for check in self.parity if check.artifact != one.artifact.recipe]
        return found.artifact()

    def _replace(self, mixed: MixedArtifact) -> None:
        """What was found out about a file in the place of what was known about the one before it."""
        recipe = mixed.artifact.recipe
        self.parity = [*(check for check in self.parity if check.artifact != recipe), *mixed.parity]
        self.accuracy[recipe] = mixed.accuracy

    def result(self, artifacts: tuple[Artifact, ...], reference: Reference, warnings: tuple[str, ...]) -> ExportResult:
        """The artifacts with everything that was found out about them."""
        return ExportResult(
            reference.spec,
            artifacts,
            reference.samples,
            reference.cases,
            _in_order(self.parity, artifacts),
            tuple(self.accuracy[one.recipe] for one in artifacts),
            warnings,
            self.failures.found,
        )

    @property
    def _subject_key(self) -> str:
        request = self.request
        return key_of(module=msgspec.to_builtins(request.module), recipes=[recipe.name for recipe in request.recipes])

    def _lanes(self, recipes: Sequence[Recipe], reference: Reference) -> list[Lane]:
        subject = self._subject(reference)
        return [
            Lane(
                worker=worker,
                row=format_of(name),
                exporter=exporter_of(self.request.module.location, name),
                recipes=tuple(recipe for recipe in recipes if recipe.format == name),
                subject=subject,
                cache=self.cache,
            )
            for name, worker in self.workers.items()
        ]

    def _subject(self, reference: Reference) -> Subject:
        feed, calibration = self.folder / "trace.npz", self.folder / "calibration.npz"
        save_arrays(feed, trace_feed(reference.samples, reference.spec))
        inputs = self.request.calibration.inputs
        save_arrays(calibration, {f"input:{name}": array for name, array in inputs.items()})
        return Subject(
            module=self.request.module,
            spec=reference.spec,
            traced=reference.traced,
            seed=self.request.seed,
            folder=self.folder,
            feed=feed,
            calibration=calibration,
            calibration_digest=self.request.calibration.digest(),
            method=self.request.method,
            opset=self.request.opset,
        )

    def _accept(self, made: Made | NotMade, reference: Reference) -> Artifact:
        """Move a finished file to its place, describe it, and check it; nothing stays of one that cannot be checked."""
        if isinstance(made, NotMade):
            raise made.error
        target = self.out / f"{made.recipe.name}{format_of(made.recipe.format).suffix}"
        _copy(made.path, target)
        try:
            return self._checked(made, target, reference)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _checked(self, made: Made, target: Path, reference: Reference) -> Artifact:
        record = self._record(made, reference)
        converted = made.converted
        artifact = Artifact(
            recipe=made.recipe.name,
            file=target.name,
            format=made.recipe.format,
            precision=made.recipe.precision,
            size_bytes=target.stat().st_size,
            sha256=sha256_file(target),
            id=artifact_id(record),
            inputs=converted.inputs,
            outputs=converted.outputs,
            opset=converted.opset,
            layout=converted.layout,
            signatures=converted.signatures,
            record=record,
            warnings=converted.warnings,
            quantized=share_in(made.recipe, target, reference.spec),
        )
        checks, self.accuracy[artifact.recipe] = check_file(
            target, artifact, reference.spec, reference.samples, reference.cases
        )
        self.parity += checks
        return with_decision(artifact, self.accuracy[artifact.recipe], checks)

    def _record(self, made: Made, reference: Reference) -> dict[str, Any]:
        """How an artifact was made; its id is the hash of this."""
        samples = self.request.calibration if made.recipe.needs_calibration else None
        return {
            "recipe": made.recipe.name,
            "options": made.converted.options,
            "tools": versions(made.recipe.format),
            "calibration": {"digest": samples.digest(), "count": len(samples)} if samples else None,
            "weights": reference.traced.weights,
            "inputs": [str(tensor) for tensor in reference.spec.inputs],
            "sizes": {axis: list(sizes) for axis, sizes in reference.spec.sizes.items()},
            "seed": self.request.seed,
        }


def _copy(source: Path, target: Path) -> None:
    """The content alone: converters write files of odd modes, and the bundle may lie on another file system."""
    try:
        shutil.copyfile(source, target)
    except OSError as err:
        raise from_os_error(err, f"writing '{target.name}'") from err


def _of_one(request: ExportRequest) -> ExportRequest:
    """The request with the batch fixed at 1."""
    return dataclasses.replace(
        request,
        spec=of_one(request.spec),
        calibration=in_batches_of_one(request.calibration),
        evaluation=in_batches_of_one(request.evaluation),
    )


def _resolved(request: ExportRequest, reference: Reference, failures: Failures) -> dict[Recipe, tuple[Recipe, ...]]:
    """Every recipe with its mode, and the other modes that an alias may mean."""
    outliers = {OUTLIERS} if reference.spec.task == "anomaly detection" else set()
    operators = frozenset({*reference.traced.operators, *outliers})
    found: dict[Recipe, tuple[Recipe, ...]] = {}
    for recipe in request.recipes:
        with failures.of(recipe):
            refuse_varying(recipe, reference.varying)
            one, *others = modes_of(recipe, operators, request.cpu_features)
            if one.needs_calibration and request.method not in format_of(one.format).methods:
                raise refuse("histogram-tflite", f"Recipe '{one.name}' with '{request.method}'")
            # A mode that is requested by its name stays that mode.
            found[one] = () if one in request.recipes else tuple(others)
    failures.narrow(len(found))
    return found


def _left_out(total: int, used: int) -> tuple[str, ...]:
    if used == total:
        return ()
    limit = f"the outputs may take {MAX_OUTPUT_BYTES >> 20} MiB"
    return (f"Evaluated on {used:,} of {total:,} samples: {limit}.",)


def _calibrated_on(request: ExportRequest, recipes: Sequence[Recipe]) -> tuple[str, ...]:
    """What is wrong with the calibration samples, where any recipe reads them."""
    if not any(recipe.needs_calibration for recipe in recipes):
        return ()
    return warnings_of(request.calibration, request.evaluation, request.spec)


def _in_order(checks: Sequence[ParityCheck], artifacts: Sequence[Artifact]) -> tuple[ParityCheck, ...]:
    order = {artifact.recipe: index for index, artifact in enumerate(artifacts)}
    return tuple(sorted(checks, key=lambda check: order[check.artifact]))
