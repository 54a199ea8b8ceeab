"""Accuracy control: the fewest operators that must stay in float for a quantized artifact to lose little accuracy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.bundle import Artifact, Signature, artifact_id
from edgekit.core.errors import ConversionFailed, VerdictFailed
from edgekit.core.recipe import Recipe
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec import ModelSpec
from edgekit.core.system.files import sha256_file
from edgekit.export import messages
from edgekit.export.bisecting.bisect import Bisected
from edgekit.export.checking.accuracy import measure_accuracy
from edgekit.export.checking.artifact_checks import MAX_DROP, check_file, decided, drop_checks, with_drop
from edgekit.export.checking.cases import Case
from edgekit.export.checking.sampling import feeds_of
from edgekit.export.checking.shares import share_in
from edgekit.export.checking.tolerance import TOLERANCES
from edgekit.export.conversion import ExportRequest, ExportResult
from edgekit.export.formats import Tracer, format_of, tracer_of
from edgekit.export.graphs.trace import Trace
from edgekit.export.workers.arrays import save_arrays
from edgekit.export.workers.worker import Worker
from edgekit.runtime.backend import BACKENDS, default_backend

# Up to so many kept operators, each is tried without: it costs one quantization.
_PRUNED: Final = 8
_RUNS: Final = 4
# What an operator that costs much accuracy is given: its weights stay int8 next to activations of 16 bits.
FLOAT: Final = "float32"
WIDE: Final = "16-bit activations"
_WIDE_FORMATS: Final = ("onnx",)
_WIDE_OPSET: Final = 21


class Kept(msgspec.Struct, frozen=True):
    """One operator that stays in float: the tensor it computes, the error that quantization adds there as a share of
    the tensor's size, and, where measured, the drop if this operator were quantized."""

    tensor: str
    operator: str
    module: str
    added: float
    drop_without: float | None = None


@dataclass(frozen=True)
class KeepCandidate:
    """An operator that may stay in float; `tensors` are the names by which the quantizer knows it."""

    tensors: tuple[str, ...]
    kept: Kept


@dataclass(frozen=True, kw_only=True)
class QuantizedPair:
    """A quantized artifact that drops too much, and the float artifact of its format; both are in `folder`.

    `opset` is the one that was requested; 0 if any will do.
    """

    folder: Path
    spec: ModelSpec
    whole: Artifact
    quantized: Artifact
    calibration: Samples
    evaluation: Samples
    cases: tuple[Case, ...]
    timeout_s: float = 600.0
    opset: int = 0


@dataclass(frozen=True)
class MixedArtifact:
    """The artifact with some operators in float, validated again, and how many quantizations that took."""

    artifact: Artifact
    parity: tuple[ParityCheck, ...]
    accuracy: Accuracy
    kept: tuple[Kept, ...]
    trials: int


def control_accuracy(result: ExportResult, request: ExportRequest, folder: Path, limit: float) -> ExportResult:
    """`result` after accuracy control of every quantized artifact in `folder` that drops more than `limit` (a share).

    All quantized artifacts are then judged by `limit`. One that cannot reach it stays as it was, and fails.

    Raises:
        VerdictFailed: An artifact drops too much even with every operator in float that can be, and the request does
            not keep going.
    """
    for artifact, accuracy in zip(result.artifacts, result.accuracy, strict=True):
        drop = accuracy.relative_drop
        if artifact.precision in ("fp32", "fp16") or drop is None:
            continue
        asked = with_drop(artifact, accuracy, limit)
        if drop <= limit:
            result = _with(result, _judged_again(asked, accuracy, result))
            continue
        try:
            result = _with(result, keep_in_float(_pair(asked, result, request, folder), limit, drop))
        except (VerdictFailed, ConversionFailed) as err:
            if not request.keep_going:
                raise
            failing = msgspec.structs.replace(asked, warnings=(*asked.warnings, err.message))
            result = _with(result, _judged_again(failing, accuracy, result))
    return result


def _pair(artifact: Artifact, result: ExportResult, request: ExportRequest, folder: Path) -> QuantizedPair:
    """A quantized artifact and the float artifact of its format."""
    whole = next((one for one in result.artifacts if one.recipe == f"{artifact.format}-fp32"), None)
    if whole is None:
        raise ConversionFailed(f"Accuracy control of '{artifact.recipe}' needs '{artifact.format}-fp32'.")
    return QuantizedPair(
        folder=folder,
        spec=result.spec,
        whole=whole,
        quantized=artifact,
        calibration=request.calibration,
        evaluation=result.evaluation,
        cases=result.cases,
        timeout_s=request.timeout_s,
        opset=request.opset,
    )


def _judged_again(artifact: Artifact, accuracy: Accuracy, result: ExportResult) -> MixedArtifact:
    """An artifact as it is, with the checks of its largest drop."""
    own = tuple(check for check in result.parity if check.artifact == artifact.recipe)
    checks = (*decided(own, accuracy, artifact, result.spec), *drop_checks(artifact, accuracy.where))
    return MixedArtifact(artifact, checks, accuracy, (), 0)


def _with(result: ExportResult, new: MixedArtifact) -> ExportResult:
    """`result` with an artifact in its new form, and what was done among the warnings."""
    recipe = new.artifact.recipe
    kept = tuple(check for check in result.parity if check.artifact != recipe)
    said = [f"{recipe}: {text}" for text in new.artifact.warnings]
    place = next(place for place, one in enumerate(result.artifacts) if one.recipe == recipe)
    return replace(
        result,
        artifacts=(*result.artifacts[:place], new.artifact, *result.artifacts[place + 1 :]),
        parity=(*kept, *new.parity),
        accuracy=(*result.accuracy[:place], new.accuracy, *result.accuracy[place + 1 :]),
        warnings=(*result.warnings, *(text for text in said if text not in result.warnings)),
    )


def fewest(
    candidates: Sequence[KeepCandidate], measure: Callable[[Sequence[KeepCandidate]], float], limit: float
) -> tuple[KeepCandidate, ...] | None:
    """The fewest of `candidates`, the most promising first, that bring the drop within `limit`.

    Doubles their number until the drop is small enough, bisects the last step, then removes what is not needed. None
    if all of them are not enough.
    """
    high = 1
    while measure(candidates[:high]) > limit:
        if high >= len(candidates):
            return None
        high = min(2 * high, len(candidates))
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if measure(candidates[:middle]) <= limit else (middle, high)
    chosen = list(candidates[:high])
    for one in reversed(chosen[:-1] if high <= _PRUNED else []):
        rest = [other for other in chosen if other is not one]
        if measure(rest) <= limit:
            chosen = rest
    return tuple(chosen)


def keep_in_float(pair: QuantizedPair, limit: float, before: float) -> MixedArtifact:
    """Replace the quantized artifact, whose drop is `before`, by one whose drop is at most `limit` (both are shares).

    Raises:
        VerdictFailed: The drop is too large even with every operator in float that can be.
    """
    candidates = tuple(_candidates(pair))
    with (
        tempfile.TemporaryDirectory(prefix="edgekit-") as folder,
        Worker(pair.quantized.format, timeout_s=pair.timeout_s) as worker,
    ):
        for form in _forms(pair):
            trials = _Trials(pair, Path(folder), worker, form)
            # A form in which even all of them do not help is not searched.
            if form == FLOAT or trials.drop(candidates) <= limit:
                chosen = fewest(candidates, trials.drop, limit)
                if chosen is not None:
                    return trials.accept(chosen, before)
    raise VerdictFailed(
        f"Artifact '{pair.quantized.recipe}' drops more than {100 * limit:g} pt even with every operator in "
        "float32 that the quantizer can leave out.",
        hint=f"edgekit bisect BUNDLE {pair.whole.recipe} {pair.quantized.recipe}",
    )


def _forms(pair: QuantizedPair) -> tuple[str, ...]:
    """What operators that cost much accuracy are given, the smallest first."""
    is_static = Recipe.parse(pair.quantized.recipe).mode == "static"
    has_wide = pair.quantized.format in _WIDE_FORMATS and is_static and not 0 < pair.opset < _WIDE_OPSET
    return (WIDE, FLOAT) if has_wide else (FLOAT,)


@dataclass
class _Trials:
    """Quantizations with some operators in another form, FLOAT or WIDE, each made and measured once."""

    pair: QuantizedPair
    folder: Path
    worker: Worker
    form: str
    known: dict[frozenset[str], tuple[float, Path, messages.Converted]] = field(default_factory=dict)

    def drop(self, chosen: Sequence[KeepCandidate]) -> float:
        """The drop with these in the other form."""
        return self._made(chosen)[0]

    def accept(self, chosen: Sequence[KeepCandidate], before: float) -> MixedArtifact:
        """Replace the artifact by the file of this trial."""
        drop, path, converted = self._made(chosen)
        pair = self.pair
        target = pair.folder / pair.quantized.file
        target.write_bytes(path.read_bytes())
        kept = tuple(self._explained(chosen))
        tensors = [msgspec.to_builtins(one) for one in kept]
        key = "float_tensors" if self.form == FLOAT else "wide_tensors"
        allowed = {**pair.quantized.record[MAX_DROP], "drop": drop}
        record = {**pair.quantized.record, "options": converted.options, key: tensors, MAX_DROP: allowed}
        artifact = msgspec.structs.replace(
            pair.quantized,
            size_bytes=target.stat().st_size,
            sha256=sha256_file(target),
            id=artifact_id(record),
            inputs=converted.inputs,
            outputs=converted.outputs,
            record=record,
            quantized=share_in(Recipe.parse(pair.quantized.recipe), target, pair.spec),
            warnings=(
                *converted.warnings,
                f"{_summary(kept, self.form)}: the drop went from {100 * before:.2f} pt to {100 * drop:.2f} pt",
            ),
        )
        checks, accuracy = check_file(target, artifact, pair.spec, pair.evaluation, pair.cases)
        return MixedArtifact(artifact, checks, accuracy, kept, len(self.known))

    def _explained(self, chosen: Sequence[KeepCandidate]) -> Iterator[Kept]:
        for one in chosen:
            rest = [other for other in chosen if other is not one]
            drop = self.drop(rest) if len(chosen) <= _PRUNED else None
            yield msgspec.structs.replace(one.kept, drop_without=drop)

    def _made(self, chosen: Sequence[KeepCandidate]) -> tuple[float, Path, messages.Converted]:
        names = frozenset(name for one in chosen for name in one.tensors)
        if names not in self.known:
            path = self.folder / f"{self.form[:5]}-{len(self.known)}{format_of(self.pair.quantized.format).suffix}"
            converted = self._quantize(sorted(names), path)
            self.known[names] = (self._measured(path), path, converted)
        return self.known[names]

    def _quantize(self, names: Sequence[str], out: Path) -> messages.Converted:
        pair = self.pair
        samples, feed = self.folder / "calibration.npz", self.folder / "feed.npz"
        if not samples.exists():
            save_arrays(samples, {f"input:{name}": array for name, array in pair.calibration.inputs.items()})
            save_arrays(feed, feeds_of(pair.evaluation.take(slice(0, 2)), pair.spec)[0])
        job = messages.Quantize(
            pair.spec,
            format_of(pair.quantized.format).quantizer,
            str(pair.folder / pair.whole.file),
            pair.quantized.recipe,
            str(samples) if pair.quantized.record.get("calibration") else "",
            str(feed),
            str(out),
            keep_float=tuple(names) if self.form == FLOAT else (),
            wide=tuple(names) if self.form == WIDE else (),
        )
        what = f"keeping {len(names)} tensors of '{pair.quantized.recipe}' in {self.form}"
        converted = self.worker.ask(job, what).converted
        if converted is None or not out.is_file():
            raise ConversionFailed(f"The {pair.quantized.format} converter did not write a file.")
        return converted

    def _measured(self, path: Path) -> float:
        pair = self.pair
        backend = BACKENDS.get(default_backend(pair.quantized.format))()
        with backend.open(path, {}, pair.spec) as session:
            accuracy = measure_accuracy(session, pair.quantized, pair.spec, pair.evaluation, session.backend)
        drop = accuracy.relative_drop
        assert drop is not None
        return drop


def _candidates(pair: QuantizedPair) -> Iterator[KeepCandidate]:
    """Operators in the order of the error that quantizing adds at them."""
    tracer = _tracer(pair)
    whole, quantized = (_trace(pair, one, tracer) for one in (pair.whole, pair.quantized))
    found = Bisected(whole, quantized, TOLERANCES["int8"])
    names = tracer.tensor_names(pair.folder / pair.whole.file)
    order = sorted(range(len(found.aligned)), key=lambda place: -found.aligned[place].added)
    for place in order:
        one = found.aligned[place]
        own = [name for name in found.behind(place) if one.operator_a != "input" or name != one.a]
        if own:
            tensors = tuple(file_name for name in own for file_name in names.get(name, (name,)))
            yield KeepCandidate(tensors, Kept(one.a, one.operator_a, one.module, one.added))


def _tracer(pair: QuantizedPair) -> Tracer:
    found = tracer_of(pair.quantized.format)
    if found is None:
        raise ConversionFailed(
            f"Accuracy control does not support '{pair.quantized.format}' files: they cannot be traced."
        )
    return found


def _trace(pair: QuantizedPair, artifact: Artifact, tracer: Tracer) -> Trace:
    path = pair.folder / artifact.file
    samples = pair.evaluation.take(slice(0, _RUNS))
    if artifact.signatures:
        return tracer.trace(path, *_fixed(artifact, pair, samples))
    if pair.spec.batch_axis is None:
        return tracer.trace(path, feeds_of(samples, pair.spec), None)
    rows = range(len(samples))
    feeds = [{name: array[row : row + 1] for name, array in samples.inputs.items()} for row in rows]
    return tracer.trace(path, feeds, None)


def _fixed(artifact: Artifact, pair: QuantizedPair, samples: Samples) -> tuple[list[Feed], Signature]:
    """Feeds for the first signature whose sizes the samples have, and the signature."""
    batch = pair.spec.batch_axis
    if batch is None:
        return feeds_of(samples, pair.spec), artifact.signatures[0]
    for signature in artifact.signatures:
        size = signature.sizes[batch]
        feeds = [
            {
                name: array.take(range(start, start + size), axis=0, mode="wrap")
                for name, array in samples.inputs.items()
            }
            for start in range(0, len(samples), size)
        ]
        wanted = [tensor.concrete(signature.sizes) for tensor in pair.spec.inputs]
        if [feeds[0][tensor.name].shape for tensor in pair.spec.inputs] == wanted:
            return feeds, signature
    raise ConversionFailed(f"No signature of '{artifact.recipe}' accepts the shapes of the samples.")


def _summary(kept: Sequence[Kept], form: str) -> str:
    names = ", ".join(f"'{one.tensor}'{f' ({one.module})' if one.module else ''}" for one in kept)
    return f"accuracy control keeps {form} at {names}"
