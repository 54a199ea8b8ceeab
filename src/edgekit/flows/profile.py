"""`edgekit profile`: latency of artifacts on targets, over several fresh processes, interleaved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.reports.report import Outcome, Report, parity_verdict
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict, worst
from edgekit.flows.calls.ability import refuse_inference_alone, refuse_other_calls
from edgekit.flows.fleet.profiled import kept_of, verdict_of
from edgekit.flows.judging.comparison import read_report, refuse_other_files
from edgekit.flows.judging.explained import explained
from edgekit.flows.measuring.findings import Findings
from edgekit.flows.measuring.measure import Extras, measure, refuse_batches, rounds_of
from edgekit.flows.measuring.phases import phases_of, which
from edgekit.flows.measuring.rounds import DEFAULT_TIME_BOX_S, Rounds
from edgekit.flows.measuring.sustained import refuse_short
from edgekit.flows.opening.artifacts import Opened, opened, runnable_here
from edgekit.flows.opening.devices import named_targets
from edgekit.flows.order import door

_SMALL_FILE: Final = (
    "Calls from end to end began with a sample, whose file is as small as the input of the model: a file of your own "
    "may take longer to read. --input FILE"
)


@dataclass(frozen=True)
class ProfileOrder:
    """Artifacts of an opened bundle, the targets to measure them on, and how.

    `left_out` says which artifacts have no backend here.
    """

    found: Opened
    artifacts: tuple[Artifact, ...]
    targets: tuple[Target, ...]
    rounds: Rounds
    extras: Extras
    settings: Settings
    left_out: tuple[str, ...] = ()
    earlier: Report | None = None
    command: str = "profile"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        steps = [
            f"measure '{one.recipe}' on {target}{which(size, phase)}: {self.rounds.described}"
            for target in self.targets
            for one in self.artifacts
            for size in sorted(set(self.extras.batch))
            for phase in phases_of(self.found.spec)
            if (str(target), one.recipe, size, phase) not in self._have
        ]
        steps += ["time each operator in one more launch, where the backend supports it"] * self.extras.operators
        steps += ["time calls from a file to a prediction in each launch"] * (self.extras.end_to_end is not None)
        if self.extras.sustain_s is not None:
            steps.append(f"keep each under load for {self.extras.sustain_s:g} s")
        return tuple(steps)

    @property
    def _have(self) -> set[tuple[str, str, int, str]]:
        """What the earlier report has measured completely."""
        kept = [] if self.earlier is None else kept_of(self.earlier).measurements
        return {(one.target, one.artifact, one.batch, one.phase) for one in kept}

    def run(self, progress: Progress) -> Report:
        """Measure, and explain what stands out."""
        kept = None if self.earlier is None else kept_of(self.earlier)
        profiled = measure(self.found, self.targets, self.artifacts, self.rounds, progress, self.extras, kept=kept)
        given = self.found.spec, str(self.found.path), self.artifacts
        warnings = (*self.left_out, *[_SMALL_FILE] * (self.extras.end_to_end == ""))
        found = Findings(*given, profiled=profiled, warnings=warnings)
        verdict = parity_verdict(profiled.parity)
        outcomes = tuple(self._outcome(str(one), verdict, found) for one in self.targets)
        report = found.report(self.command, self.settings, verdict=verdict, outcomes=outcomes)
        return explained(report, self.found)

    @staticmethod
    def _outcome(target: str, verdict: Verdict, found: Findings) -> Outcome:
        """The verdict on parity, and incomplete where the target lacks what another run can add."""
        here = [one for one in found.missing if one.target == target]
        short = verdict_of(here, found.measurements)
        return Outcome(target, worst([verdict, short]), reason=here[0].reason if short is Verdict.INCOMPLETE else "")


@contextmanager
def profile_order(
    path: str | Path,
    *,
    target: str | Sequence[str] = "local",
    artifact: Sequence[str] = (),
    launches: int | None = None,
    time_limit_s: float | None = None,
    precision: float | None = None,
    time_box_s: float = DEFAULT_TIME_BOX_S,
    batch: Sequence[int] = (1,),
    operators: bool = False,
    sustain_s: float | None = None,
    end_to_end: bool = False,
    sizes: Sequence[str] = (),
    input: Sequence[str] = (),
    state: Sequence[str] = (),
    resume: str | Path | None = None,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Iterator[ProfileOrder]:
    """Latency of every artifact of a bundle (or of a bare model file) on every target, as a Report.

    Args:
        path: A bundle, `.onnx` or `.tflite`.
        target: Targets as text, see `Target.parse`.
        artifact: Recipe names or aliases; all artifacts if empty.
        launches: Fresh processes per artifact and target; with `precision`, the minimum.
        time_limit_s: Seconds that each launch is timed after warm-up.
        precision: Launch until every median is known to within this share of it: 0.01 for ±1 %.
        time_box_s: With `precision`, seconds after which no more rounds of launches start.
        batch: Batch sizes; each is measured on its own.
        operators: Also time each operator, where the backend supports it.
        sustain_s: Seconds of load on each artifact afterwards, to detect throttling.
        end_to_end: Also time calls from a file to a prediction, with their parts: preprocessing, inference,
            postprocessing.
        sizes: Sizes of the dynamic axes of a bare file, e.g. `T=64`; a bundle has samples.
        input: Values of inputs of a bare file, e.g. `sr=16000`; other inputs are generated. With `end_to_end`, the
            file or the sentence with which each call begins; if empty, the first sample is written as a file.
        state: Pairs `OUTPUT=INPUT` of a streaming model, whose inferences continue from the states of the one before;
            if empty, those of the bundle, or recognized by name and shape.
        resume: The report (.json) of an earlier command on the same artifacts: only what it misses is measured.

    Raises:
        UserError, EnvironmentFault, Unreadable: As their messages say; nothing is ever written.
    """
    targets = named_targets(target)
    rounds = rounds_of(settings, launches, time_limit_s, precision, time_box_s)
    refuse_short(sustain_s)
    given = _one_file(input) if end_to_end else None
    values = () if end_to_end else input
    with opened(Path(path), sizes=sizes, inputs=values, states=state, progress=progress) as found:
        refuse_batches(found, batch)
        if given is not None:
            refuse_inference_alone(found, targets, batch)
        extras = Extras(tuple(batch), operators, sustain_s, given)
        is_free = not artifact and all(one.device == "local" and not one.backend for one in targets)
        chosen, left_out = runnable_here(found.artifacts) if is_free else (found.chosen(artifact), ())
        earlier = None if resume is None else _earlier(Path(resume), chosen, extras)
        yield ProfileOrder(found, chosen, targets, rounds, extras, settings, left_out, earlier)


profile = door(profile_order)


def _one_file(input: Sequence[str]) -> str:
    """The file with which calls from end to end begin; empty if none is given."""
    if len(input) > 1:
        raise UserError(
            f"Calls from end to end begin with one file, got {len(input)}: {', '.join(input)}.", hint="--input FILE"
        )
    return input[0] if input else ""


def _earlier(path: Path, artifacts: Sequence[Artifact], extras: Extras) -> Report:
    """The report to continue; it must be of the same files, and have timed whole calls if they are asked for."""
    report = read_report(path)
    refuse_other_files(report, artifacts, path)
    if extras.end_to_end is not None:
        refuse_other_calls(report, path)
    return report
