"""`edgekit tune`: the best artifact, threads and options for one target, saved next to the bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.bundle import Artifact, tuning_file
from edgekit.core.errors import DeviceUnavailable, EdgekitError, EnvironmentFault, Unreadable, UserError
from edgekit.core.facts import Facts
from edgekit.core.reports import tuning
from edgekit.core.reports.report import Estimate, ParityCheck, parity_verdict
from edgekit.core.reports.tuning import Candidate, Choice, TuneReport
from edgekit.core.system import documents
from edgekit.core.system.documents import now
from edgekit.core.system.durable.claims import SHORT_S, claimed
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.native.forks import apart
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.units import format_value
from edgekit.core.verdict import Verdict
from edgekit.devices.device import Device
from edgekit.export.checking.parity import validate_artifact
from edgekit.flows.fleet.holding import held
from edgekit.flows.fleet.together import Stop
from edgekit.flows.measuring.cells import job_for, rows_fed, write_feeds
from edgekit.flows.measuring.idle_core import on_an_idle_core
from edgekit.flows.measuring.pairs import short_job
from edgekit.flows.measuring.parity import parity_on_target
from edgekit.flows.measuring.successive_halving import FULL, Trial, exhaustive, halve, tied, trials, within
from edgekit.flows.measuring.summary import over_launches
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, open_session, opened
from edgekit.flows.opening.repository import reproduction
from edgekit.flows.opening.versions import versions
from edgekit.flows.order import door

DEFAULT_TIME_LIMIT_S: Final = 0.1
DEFAULT_MAX_DROP: Final = 0.005
MIN_SQNR_DB: Final = 30.0
_FEEDS: Final = 8


@dataclass(frozen=True)
class Quality:
    """How good the outputs of an artifact are; `refused` is why it is not good enough, or empty."""

    drop: float | None = None
    sqnr_db: float | None = None
    refused: str = ""


@dataclass(frozen=True)
class TuneOrder:
    """The artifacts of an opened bundle and the one target that they are tuned for."""

    found: Opened
    artifacts: tuple[Artifact, ...]
    target: Target
    max_drop: float
    time_limit_s: float
    settings: Settings
    command: str = "tune"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do; this does not connect to the device."""
        names = ", ".join(one.recipe for one in self.artifacts)
        return (
            f"measure {names} on {self.target} with all combinations of options, the best up to {FULL} times",
            f"write '{tuning_file(self.found.path)}'",
        )

    def run(self, progress: Progress) -> TuneReport:
        """Search, and save the choice next to the bundle; if the device is lost, report what was measured.

        Raises:
            DeviceUnavailable: The device was lost before the first launch had ended.
        """
        with progress.stage(f"tuning on {self.target}"), ExitStack() as stack:
            folder = Path(stack.enter_context(temporary_folder()))
            device = stack.enter_context(devices.open_device(self.target.device))
            launcher = stack.enter_context(held(device, Stop(), wait_s=self.settings.wait_s))
            facts = device.facts()
            quality = _qualities(self.found, self.artifacts, self.max_drop)
            candidates = self._candidates(quality, facts, emulated=device.emulated or facts.emulated)
            trier = _Launcher(self.found, launcher, folder, self.time_limit_s)
            try:
                finalists = halve(candidates, trier.launch, self.settings.seed, progress)
            except DeviceUnavailable as err:
                if not any(one.results for one in candidates):
                    raise
                return _unfinished(self.found, self.target, candidates, quality, facts, err)
        if not finalists:
            raise EnvironmentFault(f"No candidate runs on '{self.target}': {candidates[0].refused}")
        report = _reported(self.found, self.target, candidates, finalists, quality, facts, self.settings)
        return _kept(report, self.found, finalists, facts)

    def _candidates(self, quality: Mapping[str, Quality], facts: Facts, *, emulated: bool) -> list[Trial]:
        if emulated:
            raise UserError(
                f"'{self.target.device}' is emulated, so it has no latency to tune.", hint="docs/emulation.md"
            )
        candidates = trials(self.found, self.target, [name for name, one in quality.items() if not one.refused], facts)
        if not candidates:
            raise UserError(_no_candidate(str(self.target), quality), hint=f"edgekit validate {self.found.path}")
        return candidates


@contextmanager
def tune_order(
    path: str | Path,
    *,
    target: str = "local",
    artifact: Sequence[str] = (),
    max_drop: float = DEFAULT_MAX_DROP,
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    sizes: Sequence[str] = (),
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Iterator[TuneOrder]:
    """The best artifact and options for a target, saved in `NAME.tuning.json` next to the bundle.

    Args:
        path: A bundle, `.onnx` or `.tflite`.
        target: One device; a backend and options given here are fixed.
        artifact: Recipe names or aliases; all artifacts if empty.
        max_drop: Largest drop relative to PyTorch, as a ratio. Without labels, outputs need an SQNR of at least 30 dB
            instead.
        time_limit_s: Seconds that each launch is timed after warm-up.
        sizes: Sizes of the dynamic axes of a bare file, e.g. `T=64`.

    Raises:
        UserError: No artifact is good enough, or the device is emulated and has no latency.
    """
    where = Target.parse(target)
    with opened(Path(path), sizes=sizes, progress=progress) as found:
        yield TuneOrder(found, found.chosen(artifact), where, max_drop, time_limit_s, settings)


tune = door(tune_order)


@dataclass(frozen=True)
class _Launcher:
    """Launches candidates on the device, and compares the outputs of the first launch of each with PyTorch."""

    found: Opened
    device: Device
    folder: Path
    time_limit_s: float

    def launch(self, trial: Trial) -> None:
        """One more launch; a candidate that fails or has wrong outputs is refused and not launched again."""
        if trial.refused:
            return
        (artifact,) = [one for one in self.found.artifacts if one.recipe == trial.recipe]
        outputs = self.folder / "outputs.npz"
        wanted = "" if trial.results or not self.found.samples.expected else str(outputs)
        job = job_for(self.found, artifact, trial.target, self._feeds(), wanted, self.time_limit_s)
        try:
            with on_an_idle_core(trial.target):
                result = self.device.measure(short_job(job))
        except DeviceUnavailable:
            raise
        except EdgekitError as err:
            trial.refused = err.message
            return
        trial.results.append(result)
        if wanted and parity_verdict(self._parity(artifact, outputs, trial)) is Verdict.FAIL:
            trial.refused = "its outputs differ from PyTorch on the target"

    def _feeds(self) -> Path:
        made = next(self.folder.glob("feeds*.npz"), None)
        return made or write_feeds(self.found, self.folder, count=_FEEDS)

    def _parity(self, artifact: Artifact, outputs: Path, trial: Trial) -> tuple[ParityCheck, ...]:
        rows = rows_fed(self.found, _FEEDS, 1)
        return parity_on_target(self.found, artifact, outputs, rows, where=str(trial.target), case="on the target")


def _qualities(found: Opened, artifacts: Sequence[Artifact], max_drop: float) -> dict[str, Quality]:
    """The quality of each by recipe; one that crashes its backend, or does not open, is refused.

    Raises:
        Unreadable: All do so.
    """
    known: dict[str, Quality] = {}
    failed: list[Unreadable] = []
    for one in artifacts:
        try:
            known[one.recipe] = apart(partial(_quality, found, one, max_drop), Quality, found.files[one.recipe])
        except Unreadable as err:
            failed.append(err)
            known[one.recipe] = Quality(refused=err.message.rstrip("."))
    if failed and len(failed) == len(artifacts):
        raise failed[0]
    return known


def _quality(found: Opened, artifact: Artifact, max_drop: float) -> Quality:
    """Quality on the samples that travel in the bundle, by the engine of this machine."""
    if not found.samples.expected:
        return Quality()
    with open_session(found, artifact, Target("local")) as session:
        checks, accuracy = validate_artifact(session, artifact, found.spec, found.samples, (), session.backend)
    drop = accuracy.relative_drop
    sqnr = min((check.sqnr_db for check in checks if check.sqnr_db is not None), default=None)
    refused = ""
    if parity_verdict(checks) is Verdict.FAIL:
        refused = "it fails parity"
    elif drop is not None and drop > max_drop:
        refused = f"its drop is {format_value(drop, 'points')}, more than {format_value(max_drop, 'points')}"
    elif drop is None and sqnr is not None and sqnr < MIN_SQNR_DB:
        refused = f"its SQNR is {sqnr:.1f} dB, less than {MIN_SQNR_DB:g}"
    return Quality(drop, sqnr, refused)


def _no_candidate(target: str, quality: Mapping[str, Quality]) -> str:
    reasons = "; ".join(f"{name}: {one.refused}" for name, one in quality.items() if one.refused)
    return f"Nothing can be tuned on '{target}'" + (f": {reasons}." if reasons else ": it cannot open any artifact.")


def _unfinished(
    found: Opened,
    where: Target,
    candidates: Sequence[Trial],
    quality: Mapping[str, Quality],
    facts: Facts,
    lost: DeviceUnavailable,
) -> TuneReport:
    """The report of a search that lost its device: every launch that ended, and no choice."""
    measured = sorted((one for one in candidates if one.results and not one.refused), key=lambda one: one.level_s)
    ranked = (_candidate(found, one, quality[one.recipe], is_tied=False) for one in measured)
    report = _report(found, where, candidates, ranked, quality, facts)
    return msgspec.structs.replace(report, missing=lost.message, verdict=Verdict.INCOMPLETE)


def _report(
    found: Opened,
    where: Target,
    candidates: Sequence[Trial],
    ranked: Iterable[Candidate],
    quality: Mapping[str, Quality],
    facts: Facts,
    chosen: Candidate | None = None,
) -> TuneReport:
    """What every report of a search says: `ranked` in this order, then what was refused."""
    return TuneReport(
        created=now(),
        tools=versions(),
        reproduction=reproduction(),
        bundle=str(found.path),
        target=str(where),
        device=tuning.device_kind(facts),
        candidates=(*ranked, *(_refused(found, trial, quality) for trial in candidates if trial.refused)),
        chosen=chosen,
        launches=sum(len(trial.results) for trial in candidates),
        exhaustive=exhaustive(candidates),
        warnings=_excluded(quality),
    )


def _reported(
    found: Opened,
    where: Target,
    candidates: Sequence[Trial],
    finalists: Sequence[Trial],
    quality: Mapping[str, Quality],
    facts: Facts,
    settings: Settings,
) -> TuneReport:
    equal = tied(finalists, settings.minimum_effect)
    near = within(equal, settings.minimum_effect)
    best = min(near, key=lambda trial: (trial.target.threads, _size(found, trial), trial.level_s))
    measured = [trial for trial in candidates if trial.results and not trial.refused]
    rows = {trial: _candidate(found, trial, quality[trial.recipe], is_tied=trial in equal) for trial in measured}
    efficient = _front(list(rows.values()))
    rows = {trial: msgspec.structs.replace(row, is_efficient=row in efficient) for trial, row in rows.items()}
    ordered = sorted(rows.items(), key=lambda pair: (pair[0] is not best, pair[0] not in equal, pair[0].level_s))
    return _report(found, where, candidates, (row for _, row in ordered), quality, facts, rows[best])


def _excluded(quality: Mapping[str, Quality]) -> tuple[str, ...]:
    return tuple(f"'{name}' was excluded: {one.refused}." for name, one in quality.items() if one.refused)


def _candidate(found: Opened, trial: Trial, quality: Quality, *, is_tied: bool) -> Candidate:
    peaks = [float(one.peak_memory_bytes) for one in trial.results if one.peak_memory_bytes]
    return Candidate(
        artifact=trial.recipe,
        backend=trial.target.backend,
        options=dict(trial.target.options),
        launches=len(trial.results),
        latency=over_launches(trial.medians),
        memory=over_launches(peaks),
        size_bytes=_size(found, trial),
        drop=quality.drop,
        sqnr_db=quality.sqnr_db,
        is_tied=is_tied,
    )


def _refused(found: Opened, trial: Trial, quality: Mapping[str, Quality]) -> Candidate:
    row = _candidate(found, trial, quality[trial.recipe], is_tied=False)
    return msgspec.structs.replace(row, latency=Estimate(None, reason=trial.refused), refused=trial.refused)


def _size(found: Opened, trial: Trial) -> int:
    return next(one.size_bytes for one in found.artifacts if one.recipe == trial.recipe)


def _front(rows: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other one surpasses: at least as good in everything, and better in something."""
    return [row for row in rows if not any(_surpasses(other, row) for other in rows if other is not row)]


def _surpasses(left: Candidate, right: Candidate) -> bool:
    a, b = _costs(left), _costs(right)
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def _costs(row: Candidate) -> tuple[float, ...]:
    """What should be small: latency and memory in the two digits that are certain, loss, size."""
    loss = row.drop if row.drop is not None else -(row.sqnr_db or 0.0)
    return (
        float(f"{row.latency.value or 0.0:.1e}"),
        float(f"{row.memory.value or 0.0:.1e}"),
        max(loss, 0.0) if row.drop is not None else loss,
        float(row.size_bytes),
    )


def _kept(report: TuneReport, found: Opened, finalists: Sequence[Trial], facts: Facts) -> TuneReport:
    """Write the choice of every artifact that was measured fully."""
    file = tuning_file(found.path)
    best = [min(group, key=lambda trial: trial.level_s) for group in _by_recipe(finalists).values()]
    chosen = report.chosen
    assert chosen is not None
    choices = [_choice(found, trial, facts) for trial in best if trial.recipe != chosen.artifact]
    (winner,) = [
        trial
        for trial in finalists
        if (trial.recipe, trial.target.backend, dict(trial.target.options))
        == (chosen.artifact, chosen.backend, chosen.options)
    ]
    choices.insert(0, msgspec.structs.replace(_choice(found, winner, facts), is_chosen=True))
    with claimed(file, wait_s=SHORT_S):
        documents.write(file, tuning.merged(tuning.read_tuning(file), found.spec.name, choices))
    return msgspec.structs.replace(report, file=str(file))


def _by_recipe(finalists: Sequence[Trial]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in finalists:
        groups.setdefault(trial.recipe, []).append(trial)
    return groups


def _choice(found: Opened, trial: Trial, facts: Facts) -> Choice:
    (artifact,) = [one for one in found.artifacts if one.recipe == trial.recipe]
    return Choice(
        device=tuning.device_kind(facts),
        engine=trial.results[-1].engine,
        artifact=trial.recipe,
        sha256=artifact.sha256,
        backend=trial.target.backend,
        options=dict(trial.target.options),
        latency=over_launches(trial.medians),
        created=now(),
    )
