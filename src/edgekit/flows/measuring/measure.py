"""Measuring: every artifact on every target, over several fresh processes, interleaved."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.facts import Facts
from edgekit.core.measurement import Measurement
from edgekit.core.reports.report import Latency, Operators, ParityCheck
from edgekit.core.reports.sustained import Sustained
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict, worst
from edgekit.devices.device import Device
from edgekit.flows.measuring.cells import (
    DEFAULT_TIME_LIMIT_S,
    SHORT_TIME_LIMIT_S,
    Cell,
    job_for,
    measurement_of,
    rows_fed,
    write_feeds,
)
from edgekit.flows.measuring.instructions import Counts, count_all
from edgekit.flows.measuring.parity import parity_on_target
from edgekit.flows.measuring.rounds import DEFAULT_TIME_BOX_S, Launched, Rounds, half_width, is_narrow, launch_in_rounds
from edgekit.flows.measuring.summary import summarize
from edgekit.flows.measuring.sustained import refuse_emulated, refuse_short, sustain
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, opens

_PARITY_FEEDS = 8
# The sum of the operator times agrees with the median latency if it differs by this share at most.
_OPERATORS_APART = 0.3


@dataclass
class Profiled:
    """The results of profiling, as a report contains them."""

    measurements: list[Measurement] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    operators: list[Operators] = field(default_factory=list)
    sustained: list[Sustained] = field(default_factory=list)
    parity: list[ParityCheck] = field(default_factory=list)
    facts: dict[str, Facts] = field(default_factory=dict)
    facts_after: dict[str, Facts] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Extras:
    """What is measured besides the latency of single samples; as in `profile`."""

    batch: tuple[int, ...] = (1,)
    operators: bool = False
    sustain_s: float | None = None


def measure(
    found: Opened,
    targets: Sequence[Target],
    artifacts: Sequence[Artifact],
    rounds: Rounds,
    progress: Progress,
    extras: Extras = Extras(),
    *,
    exported: bool = False,
) -> Profiled:
    """Launch every artifact on every target, in rounds; arguments as in `profile`.

    Args:
        exported: This command has just exported on this machine, whose load average is that of its converters.
    """
    refuse_batches(found, extras.batch)
    refuse_short(extras.sustain_s)
    with TemporaryDirectory(prefix="edgekit-") as folder, ExitStack() as stack:
        machines = {one.device: stack.enter_context(devices.open_device(one.device)) for one in targets}
        cells = _cells(found, targets, artifacts, Path(folder), rounds.time_limit_s, sorted(set(extras.batch)))
        before = {name: _facts_before(name, device, exported=exported) for name, device in machines.items()}
        if extras.sustain_s is not None:
            refuse_emulated(machines)
        launched = launch_in_rounds(cells, machines, rounds, progress)
        after = {name: _facts_after(name, device, launched) for name, device in machines.items()}
        counts = count_all(cells, machines, progress)
        profiled = _collect(found, cells, launched, counts, machines, before, after)
        timed = [cell for cell in cells if _is_timed(cell, profiled)]
        if extras.operators:
            with progress.stage("operators"):
                _add_operators(profiled, timed, machines)
        if extras.sustain_s is not None:
            with progress.stage("sustained load"):
                profiled.sustained += sustain(timed, machines, extras.sustain_s, progress)
    profiled.warnings += [
        f"The median of {cell.described} is known to ±{100 * width:.1f} %, not ±{100 * (rounds.precision or 0.0):g} %: "
        f"the time box of {rounds.time_box_s:g} s ended."
        for cell in cells
        if not is_narrow(launched[cell], rounds) and (width := half_width(launched[cell])) is not None
    ]
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
    return Rounds(count, time_limit_s or usual_s, precision, time_box_s, settings.seed)


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
    fed = {size: write_feeds(found, folder, count=_feeds(size), batch=size) for size in batches}
    cells: list[Cell] = []
    for target, artifact in product(targets, artifacts):
        if opens(target, artifact):
            for size in batches:
                outputs = str(folder / f"{len(cells)}.npz")
                job = job_for(found, artifact, target, fed[size], outputs, time_limit_s)
                cells.append(Cell(found, artifact, target, job, size))
    missed = [str(target) for target in targets if not any(cell.target == target for cell in cells)]
    if missed:
        names = ", ".join(one.recipe for one in artifacts)
        raise UserError(f"Target '{missed[0]}' cannot open any of {names}.", hint=f"edgekit inspect {found.path}")
    return cells


def _feeds(batch: int) -> int:
    """How many feeds are answered for parity; larger batches hold several samples in one."""
    return _PARITY_FEEDS if batch == 1 else 1


def _collect(
    found: Opened,
    cells: Sequence[Cell],
    launched: Mapping[Cell, Sequence[Launched]],
    counts: Counts,
    devices: Mapping[str, Device],
    before: Mapping[str, Facts],
    after: Mapping[str, Facts],
) -> Profiled:
    profiled = Profiled(
        facts={str(cell.target): before[cell.target.device] for cell in cells},
        facts_after={str(cell.target): after[cell.target.device] for cell in cells},
    )
    if not found.samples.expected:
        profiled.warnings.append("Parity was not checked: there are no reference outputs.")
    for cell in cells:
        checks = _parity(found, cell)
        profiled.parity += checks
        if worst(check.verdict for check in checks) is Verdict.FAIL:
            profiled.warnings.append(
                f"'{cell.artifact.recipe}' failed parity on {cell.target}, so it has no latency there."
            )
            continue
        emulated = devices[cell.target.device].emulated or before[cell.target.device].emulated
        measurement = msgspec.structs.replace(
            measurement_of(cell, [one.launch for one in launched[cell]], emulated), instructions=counts.get(cell, ())
        )
        profiled.measurements.append(measurement)
        pair = before[cell.target.device], after[cell.target.device]
        profiled.latency.append(summarize(measurement, [one.result for one in launched[cell]], *pair))
    return profiled


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


def _is_timed(cell: Cell, profiled: Profiled) -> bool:
    """True for what kept parity: a fast wrong answer has no times."""
    where = str(cell.target), cell.artifact.recipe, cell.sizes
    return where in [(one.target, one.artifact, one.sizes) for one in profiled.latency]


def _add_operators(profiled: Profiled, cells: Sequence[Cell], devices: Mapping[str, Device]) -> None:
    """One more launch of each cell, in which the engine times its operators."""
    for cell in cells:
        result = devices[cell.target.device].measure(
            msgspec.structs.replace(cell.job, operators=True, outputs="", time_limit_s=0.0, min_values=1)
        )
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


def _parity(found: Opened, cell: Cell) -> tuple[ParityCheck, ...]:
    """What the device answered against PyTorch; nothing where there are no references."""
    rows = rows_fed(found, _feeds(cell.batch), cell.batch)
    case = f"on the target{f', batch {cell.batch}' if cell.batch > 1 else ''}"
    return parity_on_target(found, cell.artifact, Path(cell.job.outputs), rows, where=str(cell.target), case=case)
