"""Measuring: every artifact on every target, over several fresh processes, interleaved."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError, EnvironmentFault, Interrupted, Unreadable, UserError
from edgekit.core.facts import Facts
from edgekit.core.measurement import PREFILL
from edgekit.core.reports.report import Operators, ParityCheck
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict, worst
from edgekit.devices.device import Device
from edgekit.flows.calls.given_files import given_file
from edgekit.flows.fleet.holding import held, inability
from edgekit.flows.fleet.profiled import ITS_OWN, Profiled, missing_of
from edgekit.flows.fleet.together import THREADS, Scheduler, Stop, Work
from edgekit.flows.measuring.cells import (
    DEFAULT_TIME_LIMIT_S,
    SHORT_TIME_LIMIT_S,
    Cell,
    job_for,
    measurement_of,
    rows_fed,
    with_whole_calls,
    write_feeds,
)
from edgekit.flows.measuring.instructions import Counts, count_all
from edgekit.flows.measuring.parity import parity_on_target
from edgekit.flows.measuring.phases import phases_of, which
from edgekit.flows.measuring.rounds import (
    DEFAULT_TIME_BOX_S,
    ENDS_ALL,
    Launched,
    Rounds,
    half_width,
    is_narrow,
    launch_in_rounds,
)
from edgekit.flows.measuring.summary import summarize
from edgekit.flows.measuring.sustained import refuse_emulated, refuse_short, sustain
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, opens

_PARITY_FEEDS = 8
# The sum of the operator times agrees with the median latency if it differs by this share at most.
_OPERATORS_APART = 0.3


@dataclass(frozen=True)
class Extras:
    """What is measured besides the latency of single samples; as in `profile`.

    `end_to_end` is a file or a sentence, or empty for the first sample; None: whole calls are not timed. They
    are timed on the targets that can do it.
    """

    batch: tuple[int, ...] = (1,)
    operators: bool = False
    sustain_s: float | None = None
    end_to_end: str | None = None


def measure(
    found: Opened,
    targets: Sequence[Target],
    artifacts: Sequence[Artifact],
    rounds: Rounds,
    progress: Progress,
    extras: Extras = Extras(),
    *,
    exported: bool = False,
    kept: Profiled | None = None,
    is_partial: bool = False,
    scheduler: Scheduler = THREADS,
) -> Profiled:
    """Launch every artifact on every target, in rounds; devices work at the same time. Arguments as in `profile`.

    What could not be measured is in `Profiled.missing`, with the reason.

    Args:
        exported: This command has just exported on this machine, whose load average is that of its converters.
        kept: What an earlier command has measured, which is not measured again; everything is added to it.
        is_partial: Do not raise what is missing, even if nothing was measured.

    Raises:
        EdgekitError: Nothing at all could be measured, for this reason; or a bug.
        KeyboardInterrupt: Ctrl-C came before anything was measured.
    """
    asked = _Asked(found, rounds, extras, exported)
    refuse_batches(found, extras.batch)
    refuse_short(extras.sustain_s)
    profiled = kept or Profiled()
    with temporary_folder() as folder:
        cells = _cells(found, targets, artifacts, Path(folder), rounds.time_limit_s, sorted(set(extras.batch)))
        if extras.end_to_end is not None:
            given = given_file(found, extras.end_to_end, Path(folder), profiled.input)
            profiled.input, cells = given.described, with_whole_calls(cells, given)
        have = {(one.target, one.artifact, one.batch, one.phase) for one in profiled.measurements}
        parts = {
            name: _Part([cell for cell in cells if cell.target.device == name and _key(cell) not in have])
            for name in dict.fromkeys(target.device for target in targets)
        }
        _run_all({name: part for name, part in parts.items() if part.cells}, asked, scheduler, progress)
        for part in parts.values():
            profiled.add(part.profiled)
    _refuse_nothing(parts.values(), profiled, is_partial=is_partial)
    unchecked = [name for name in parts if name != "local" or not exported]
    if unchecked and not found.samples.expected:
        profiled.warnings.append(f"Parity was not checked on {', '.join(unchecked)}: there are no reference outputs.")
    profiled.sort(targets)
    return profiled


def rounds_of(
    settings: Settings,
    launches: int | None = None,
    time_limit_s: float | None = None,
    precision: float | None = None,
    time_box_s: float = DEFAULT_TIME_BOX_S,
) -> Rounds:
    """How to profile: arguments, otherwise settings or defaults; errors as in `Rounds`."""
    count = settings.launches if launches is None else launches
    # Many short launches tell more of the median than few long ones.
    usual_s = DEFAULT_TIME_LIMIT_S if precision is None else SHORT_TIME_LIMIT_S
    return Rounds(count, time_limit_s or usual_s, precision, time_box_s, settings.seed, settings.wait_s)


def refuse_batches(found: Opened, batch: Sequence[int]) -> None:
    """Raise for batch sizes that the model cannot be measured at."""
    if not batch or min(batch) < 1:
        raise UserError(f"batch: expected sizes of at least 1, got {list(batch)}.", hint="--batch 1,8")
    if max(batch) > 1 and found.spec.batch_axis is None:
        raise UserError(f"'{found.path}' has no dynamic batch axis.", hint=_without_batch(found, sorted({1, *batch})))


def _without_batch(found: Opened, batch: Sequence[int]) -> str:
    """What to type instead: the sizes of dynamic axes, or how to make a file with a batch, if one has 1."""
    if found.bundle is None and found.spec.free_axes:
        first, *others = (shlex.quote(f"{axis}={max(batch)}") for axis in found.spec.free_axes)
        return f"edgekit profile {found.path} --sizes {first}" + "".join(f" --sizes {one}" for one in others)
    if any(tensor.shape[:1] != (1,) for tensor in found.spec.inputs):
        return "--batch 1"
    larger = ",".join(map(str, batch))
    return f"--batch 1, or make a file with one: edgekit export SOURCE --sizes N={larger} --out BUNDLE"


def _cells(
    found: Opened,
    targets: Sequence[Target],
    artifacts: Sequence[Artifact],
    folder: Path,
    time_limit_s: float,
    batches: Sequence[int],
) -> list[Cell]:
    timed = list(product(batches, phases_of(found.spec)))
    fed = {
        (size, phase): write_feeds(found, folder, count=feeds_of(size), batch=size, phase=phase)
        for size, phase in timed
    }
    cells: list[Cell] = []
    for target, artifact in product(targets, artifacts):
        if opens(target, artifact):
            for size, phase in timed:
                # Parity is that of the samples, whatever is timed.
                outputs = "" if phase == PREFILL else str(folder / f"{len(cells)}.npz")
                job = job_for(found, artifact, target, fed[size, phase], outputs, time_limit_s)
                cells.append(Cell(found, artifact, target, job, size, phase))
    missed = [str(target) for target in targets if not any(cell.target == target for cell in cells)]
    if missed:
        names = ", ".join(one.recipe for one in artifacts)
        raise UserError(f"Target '{missed[0]}' cannot open any of {names}.", hint=f"edgekit inspect {found.path}")
    return cells


def feeds_of(batch: int) -> int:
    """How many feeds are compared for parity; larger batches contain several samples in one."""
    return _PARITY_FEEDS if batch == 1 else 1


@dataclass(frozen=True)
class _Asked:
    """What every device is asked for."""

    found: Opened
    rounds: Rounds
    extras: Extras
    exported: bool


@dataclass
class _Part:
    """The cells of one device, what was measured of them, and the error of each that could not be measured."""

    cells: list[Cell]
    profiled: Profiled = field(default_factory=Profiled)
    failed: dict[Cell, EdgekitError] = field(default_factory=dict)
    launched: dict[Cell, list[Launched]] = field(default_factory=dict)

    def fail(self, err: EdgekitError) -> None:
        """Let every cell that has not failed yet fail with `err`."""
        self.failed = {**dict.fromkeys(self.cells, err), **self.failed}

    def close(self) -> None:
        """Add what failed to what is missing."""
        for cell, err in self.failed.items():
            ended = sum(not one.launch.replaced for one in self.launched.get(cell, ()))
            where = cell.artifact.recipe, str(cell.target)
            self.profiled.missing.append(missing_of(*where, err, batch=cell.batch, launches=ended))


def _run_all(parts: Mapping[str, _Part], asked: _Asked, scheduler: Scheduler, progress: Progress) -> None:
    """Measure every part; Ctrl-C is kept as what its cells lack."""
    with ExitStack() as stack:
        work: dict[str, Work] = {}
        for name, part in parts.items():
            try:
                device = stack.enter_context(devices.open_device(name))
            except EnvironmentFault as err:
                part.fail(err)
                continue
            work[name] = partial(_measure_part, part, device, asked, progress)
        try:
            scheduler.run(work, progress)
        except KeyboardInterrupt:
            for part in parts.values():
                unfinished = [cell for cell in part.cells if len(part.launched.get(cell, ())) < asked.rounds.least]
                part.failed = {**dict.fromkeys(unfinished, Interrupted("Stopped by Ctrl-C.")), **part.failed}
            if not any(part.profiled.measurements for part in parts.values()):
                raise
    for part in parts.values():
        part.close()


def _measure_part(part: _Part, device: Device, asked: _Asked, progress: Progress, stop: Stop) -> None:
    """Measure the cells of one device; its errors become what is missing, but not the mistakes of the user or ours."""
    try:
        with held(device, stop, wait_s=asked.rounds.wait_s) as launcher:
            _measure_held(part, device, launcher, asked, progress)
    except (*ITS_OWN, Interrupted) as err:
        part.fail(err)


def _measure_held(part: _Part, device: Device, launcher: Device, asked: _Asked, progress: Progress) -> None:
    name, extras = part.cells[0].target.device, asked.extras
    before = _facts_before(name, device, exported=asked.exported)
    if extras.sustain_s is not None:
        refuse_emulated({name: device})
    part.failed.update({cell: err for cell in part.cells if (err := inability(device, cell.job)) is not None})
    able = [cell for cell in part.cells if cell not in part.failed]
    machines = {name: launcher}
    part.launched = launch_in_rounds(able, machines, asked.rounds, progress, failed=part.failed)
    ran = {cell: launches for cell, launches in part.launched.items() if launches}
    if not ran:
        return
    after = before
    counts: Counts = {}
    if not _is_lost(part):
        try:
            after = _facts_after(name, device, ran)
            counts = count_all(list(ran), {name: device}, progress)
        except ITS_OWN as err:
            part.fail(err)
    _collect(part, asked.found, ran, counts, device, before, after)
    timed = [cell for cell in ran if _is_timed(cell, part.profiled) and cell not in part.failed]
    if extras.operators:
        with progress.stage("operators"):
            _add_operators(part, timed, machines)
    if extras.sustain_s is not None:
        with progress.stage("sustained load"):
            sound = [cell for cell in timed if cell not in part.failed and cell.phase != PREFILL]
            part.profiled.sustained += sustain(sound, machines, extras.sustain_s, progress, part.failed)
    part.profiled.warnings += _imprecise(ran, asked.rounds)


def _is_lost(part: _Part) -> bool:
    return any(isinstance(err, ENDS_ALL) for err in part.failed.values())


def _imprecise(launched: Mapping[Cell, Sequence[Launched]], rounds: Rounds) -> Iterator[str]:
    """A sentence for each median that is not known as exactly as was asked for."""
    for cell, launches in launched.items():
        width = half_width(launches)
        if not is_narrow(launches, rounds) and width is not None:
            known = f"{100 * width:.1f} %, not ±{100 * (rounds.precision or 0.0):g} %"
            box = f"the time box of {rounds.time_box_s:g} s ended."
            yield f"The median of {cell.described} is known to ±{known}: {box}"


def _refuse_nothing(parts: Iterable[_Part], profiled: Profiled, *, is_partial: bool) -> None:
    """Raise the first error where nothing was measured, and every error that is a bug."""
    errors = [err for part in parts for err in part.failed.values()]
    bugs = [err for err in errors if err.exit_code == EdgekitError.exit_code]
    raised = bugs
    if errors and not profiled.measurements:
        # What a device cannot do leaves the rest of a command as it is; a wrong option does not.
        raised = raised or [err for err in errors if not is_partial or not isinstance(err, ITS_OWN)]
    if raised:
        raise raised[0]


def _key(cell: Cell) -> tuple[str, str, int, str]:
    return str(cell.target), cell.artifact.recipe, cell.batch, cell.phase


def _collect(
    part: _Part,
    found: Opened,
    launched: Mapping[Cell, Sequence[Launched]],
    counts: Counts,
    device: Device,
    before: Facts,
    after: Facts,
) -> None:
    """Parity and figures of what was launched."""
    profiled = part.profiled
    for cell, launches in launched.items():
        profiled.facts[str(cell.target)], profiled.facts_after[str(cell.target)] = before, after
        profiled.parity += check_parity(found, cell) if cell.job.outputs else ()
        if _is_wrong(cell, profiled):
            profiled.warnings.append(
                f"'{cell.artifact.recipe}' failed parity on {cell.target}, so it has no latency there."
            )
            continue
        measurement = msgspec.structs.replace(
            measurement_of(cell, [one.launch for one in launches], device.emulated or before.emulated),
            instructions=counts.get(cell, ()),
        )
        profiled.measurements.append(measurement)
        profiled.latency.append(summarize(measurement, [one.result for one in launches], before, after))


def _facts_before(name: str, device: Device, *, exported: bool) -> Facts:
    """The facts of a device; without the load average of this machine where that says nothing of other programs."""
    found = device.facts()
    if name != "local" or not exported or found.load is None:
        return found
    missing = {**found.missing, "load": "this command exported on this machine just before"}
    return msgspec.structs.replace(found, load=None, missing=missing)


def _facts_after(name: str, device: Device, launched: Mapping[Cell, Sequence[Launched]]) -> Facts:
    """The facts that the last launch on a device read at its end; the device's own where its runner reads none."""
    here = [one for cell, launches in launched.items() if cell.target.device == name for one in launches]
    last = max(here, key=lambda one: one.launch.order).result.after
    return last if last != Facts() else device.facts()


def _is_wrong(cell: Cell, profiled: Profiled) -> bool:
    where = cell.artifact.recipe, str(cell.target)
    return worst(one.verdict for one in profiled.parity if (one.artifact, one.where) == where) is Verdict.FAIL


def _is_timed(cell: Cell, profiled: Profiled) -> bool:
    """True for what kept parity: a fast wrong answer has no times."""
    where = str(cell.target), cell.artifact.recipe, cell.sizes
    return where in [(one.target, one.artifact, one.sizes) for one in profiled.latency]


def _add_operators(part: _Part, cells: Sequence[Cell], devices: Mapping[str, Device]) -> None:
    """One more launch of each cell, in which the engine times its operators; one that crashes then has failed."""
    profiled = part.profiled
    for cell in cells:
        job = msgspec.structs.replace(cell.inference_job, operators=True, time_limit_s=0.0, min_values=1)
        try:
            result = devices[cell.target.device].measure(job)
        except Unreadable as err:
            part.failed[cell] = err
            continue
        found = Operators(str(cell.target), cell.artifact.recipe, cell.sizes, result.operators)
        profiled.operators.append(found)
        share = found.share_of_median(profiled.latency)
        if not result.operators:
            profiled.warnings.append(f"No operator times of {cell.described}: {result.engine} does not report them.")
        elif share is not None and not 1 - _OPERATORS_APART <= share <= 1 + _OPERATORS_APART:
            profiled.warnings.append(
                f"The operators of {cell.described} take {share:.0%} of its median latency together: the profiler "
                "counts whole microseconds of each operator, and slows small ones down. Compare only the long ones."
            )


def check_parity(found: Opened, cell: Cell) -> tuple[ParityCheck, ...]:
    """The outputs of a device, compared with PyTorch; nothing where there are no references."""
    rows = rows_fed(found, feeds_of(cell.batch), cell.batch)
    case = f"on the target{which(cell.batch)}"
    return parity_on_target(found, cell.artifact, Path(cell.job.outputs), rows, where=str(cell.target), case=case)
