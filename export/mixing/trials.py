"""Quantizations with some operators in another form: made, measured once each, and one of them accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit.core.bundle import Artifact, Signature, artifact_id
from edgekit.core.errors import ConversionFailed
from edgekit.core.recipe import Recipe
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import sha256_file
from edgekit.export import messages
from edgekit.export.checking.artifact_checks import DECIDED, MAX_DROP, check_file, with_decision
from edgekit.export.checking.cases import Case
from edgekit.export.checking.sampling import feeds_of
from edgekit.export.checking.shares import share_in
from edgekit.export.formats import format_of
from edgekit.export.mixing.fewest import PRUNED, KeepCandidate, Kept
from edgekit.export.workers.arrays import save_arrays
from edgekit.export.workers.worker import Worker

# What an operator that costs much quality is given; with 16-bit activations its weights stay int8.
FLOAT: Final = "float32"
WIDE: Final = "16-bit activations"
# A warning names so many operators; the record has all of them.
_NAMED: Final = 8


@dataclass(frozen=True, kw_only=True)
class QuantizedPair:
    """A quantized artifact in `folder` that is not good enough, and the float file of its format.

    `opset` is the one that was requested; 0 if any will do.
    """

    folder: Path
    spec: ModelSpec
    whole: Path
    signatures: tuple[Signature, ...]
    quantized: Artifact
    calibration: Samples
    evaluation: Samples
    cases: tuple[Case, ...]
    method: str = "min-max"
    opset: int = 0

    def checks(self, path: Path, artifact: Artifact) -> tuple[tuple[ParityCheck, ...], Accuracy]:
        """Everything that is checked of a file that was made instead of the quantized one."""
        return check_file(path, artifact, self.spec, self.evaluation, self.cases)


@dataclass(frozen=True)
class MixedArtifact:
    """The artifact with some operators in another form, and its checks."""

    artifact: Artifact
    parity: tuple[ParityCheck, ...]
    accuracy: Accuracy


@dataclass(frozen=True)
class MixedFile:
    """One quantization: the file, the artifact it would be, and how far it is from good; the smaller the better."""

    path: Path
    artifact: Artifact
    measured: float


@dataclass
class Trials:
    """Quantizations of a pair with some operators in one form, FLOAT or WIDE, each made and measured once."""

    pair: QuantizedPair
    folder: Path
    worker: Worker
    form: str
    measure: Callable[[Path, Artifact], float]
    known: dict[frozenset[str], MixedFile] = field(default_factory=dict)

    def measured(self, chosen: Sequence[KeepCandidate]) -> float:
        """The measure with these operators in the other form."""
        return self._made(chosen).measured

    def accept(
        self, chosen: Sequence[KeepCandidate], gained: Callable[[float], str], *, measures_drop: bool = False
    ) -> MixedArtifact:
        """Replace the quantized file by that of this trial.

        Args:
            gained: What became better, from the measure of this trial; for the warning that names the operators.
            measures_drop: Whether the measure is the drop of accuracy, which is then recorded for every operator.
        """
        trial, pair = self._made(chosen), self.pair
        kept = tuple(
            self._explained(chosen) if measures_drop and len(chosen) <= PRUNED else (one.kept for one in chosen)
        )
        key = "float_tensors" if self.form == FLOAT else "wide_tensors"
        record: dict[str, Any] = {**trial.artifact.record, key: [msgspec.to_builtins(one) for one in kept]}
        if measures_drop:
            record[MAX_DROP] = {**record[MAX_DROP], "drop": trial.measured}
        warnings = (*trial.artifact.warnings, f"{_summary(kept, self.form)}: {gained(trial.measured)}")
        artifact = msgspec.structs.replace(trial.artifact, record=record, id=artifact_id(record), warnings=warnings)
        checks, accuracy = pair.checks(trial.path, artifact)
        (pair.folder / artifact.file).write_bytes(trial.path.read_bytes())
        return MixedArtifact(with_decision(artifact, accuracy, checks), checks, accuracy)

    def _explained(self, chosen: Sequence[KeepCandidate]) -> Iterator[Kept]:
        for one in chosen:
            rest = [other for other in chosen if other is not one]
            yield msgspec.structs.replace(one.kept, drop_without=self.measured(rest))

    def _made(self, chosen: Sequence[KeepCandidate]) -> MixedFile:
        names = frozenset(name for one in chosen for name in one.tensors)
        if names not in self.known:
            path = self.folder / f"{self.form[:5]}-{len(self.known)}{format_of(self.pair.quantized.format).suffix}"
            artifact = self._described(path, self._quantize(sorted(names), path))
            self.known[names] = MixedFile(path, artifact, self.measure(path, artifact))
        return self.known[names]

    def _described(self, path: Path, converted: messages.Converted) -> Artifact:
        quantized = self.pair.quantized
        record = {**quantized.record, "options": converted.options}
        record.pop(DECIDED, None)  # it was said of another file
        return msgspec.structs.replace(
            quantized,
            size_bytes=path.stat().st_size,
            sha256=sha256_file(path),
            id=artifact_id(record),
            inputs=converted.inputs,
            outputs=converted.outputs,
            record=record,
            quantized=share_in(Recipe.parse(quantized.recipe), path, self.pair.spec),
            warnings=converted.warnings,
        )

    def _quantize(self, names: Sequence[str], out: Path) -> messages.Converted:
        pair = self.pair
        samples, feed = self.folder / "calibration.npz", self.folder / "feed.npz"
        if not samples.exists():
            save_arrays(samples, {f"input:{name}": array for name, array in pair.calibration.inputs.items()})
            save_arrays(feed, feeds_of(pair.evaluation.take(slice(0, 2)), pair.spec)[0])
        job = messages.Quantize(
            pair.spec,
            format_of(pair.quantized.format).quantizer,
            str(pair.whole),
            pair.quantized.recipe,
            str(samples) if pair.quantized.record.get("calibration") else "",
            str(feed),
            str(out),
            keep_float=tuple(names) if self.form == FLOAT else (),
            wide=tuple(names) if self.form == WIDE else (),
            method=pair.method,
        )
        what = f"keeping {len(names)} tensors of '{pair.quantized.recipe}' in {self.form}"
        converted = self.worker.ask(job, what).converted
        if converted is None or not out.is_file():
            raise ConversionFailed(f"The {pair.quantized.format} converter did not write a file.")
        return converted


def _summary(kept: Sequence[Kept], form: str) -> str:
    shown = [f"'{one.tensor}'{f' ({one.module})' if one.module else ''}" for one in kept[:_NAMED]]
    rest = len(kept) - len(shown)
    names = ", ".join(shown) + (f" and {rest} more" if rest else "")
    return f"keeps {form} at {names}"
