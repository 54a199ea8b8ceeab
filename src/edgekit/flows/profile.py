"""`edgekit profile`: latency of artifacts on targets, over several fresh processes, interleaved."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from edgekit.core.bundle import Artifact
from edgekit.core.config import Settings
from edgekit.core.errors import UserError
from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.core.measurement import Measurement
from edgekit.core.progress import Progress, Silent
from edgekit.core.report import Latency, Outcome, ParityCheck, Report
from edgekit.core.samples import read_arrays
from edgekit.core.target import Target, parse_targets
from edgekit.core.verdict import Verdict, worst
from edgekit.devices.device import Device
from edgekit.export.validation import compare_outputs
from edgekit.flows.bundles import Opened, opened, opens
from edgekit.flows.cells import DEFAULT_TIME_LIMIT_S, Cell, job_for, measurement_of, open_device, write_feeds
from edgekit.flows.counting import Counts, count_all
from edgekit.flows.plan import Plan
from edgekit.flows.summary import summarize, to_launch
from edgekit.flows.tools import versions

_PARITY_FEEDS = 8


@dataclass
class Profiled:
    """What profiling found out, in the words of a report."""

    measurements: list[Measurement] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    parity: list[ParityCheck] = field(default_factory=list)
    facts: dict[str, Facts] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def profile(
    path: str | Path,
    *,
    target: str | Sequence[str] = "local",
    artifact: Sequence[str] = (),
    launches: int | None = None,
    time_limit_s: float | None = None,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Report:
    """Latency of every artifact of a bundle (or of a bare model file) on every target, as a Report.

    Args:
        path: A bundle, `.onnx` or `.tflite`.
        target: Targets as text, see `Target.parse`.
        artifact: Recipe names or aliases; all artifacts for none.
        launches: Fresh processes per artifact and target.
        time_limit_s: Seconds of steady calls in each launch.

    Raises:
        UserError, EnvironmentFault, Unreadable: As their messages say; nothing is written in any case.
    """
    targets = parse_targets(target)
    with opened(Path(path)) as found:
        result = measure(
            found, targets, found.chosen(artifact), launches or settings.launches, time_limit_s, settings.seed, progress
        )
        return Report(
            command="profile",
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            spec=found.spec,
            bundle=str(path),
            artifacts=found.chosen(artifact),
            parity=tuple(result.parity),
            measurements=tuple(result.measurements),
            latency=tuple(result.latency),
            facts=result.facts,
            outcomes=tuple(Outcome(str(one), worst(check.verdict for check in result.parity)) for one in targets),
            tools=versions(),
            warnings=tuple(result.warnings),
            verdict=worst(check.verdict for check in result.parity),
            seed=settings.seed,
        )


def plan_profile(
    path: str | Path,
    *,
    target: str | Sequence[str] = "local",
    artifact: Sequence[str] = (),
    launches: int | None = None,
    time_limit_s: float | None = None,
    settings: Settings = Settings(),
) -> Plan:
    """What `profile` with the same arguments would do."""
    with opened(Path(path)) as found:
        names = [one.recipe for one in found.chosen(artifact)]
    steps = [
        f"measure '{name}' on {one}: {launches or settings.launches} fresh processes, interleaved, "
        f"{time_limit_s or DEFAULT_TIME_LIMIT_S:g} s of steady calls each"
        for one in parse_targets(target)
        for name in names
    ]
    return Plan("profile", tuple(steps))


def measure(
    found: Opened,
    targets: Sequence[Target],
    artifacts: Sequence[Artifact],
    launches: int,
    time_limit_s: float | None,
    seed: int,
    progress: Progress,
) -> Profiled:
    """Launch every artifact on every target `launches` times, in an order that is shuffled anew each round."""
    if launches < 1:
        raise UserError(f"launches: expected at least 1, got {launches}.", hint="--launches 6")
    with TemporaryDirectory(prefix="edgekit-") as folder, ExitStack() as stack:
        devices = {one.device: stack.enter_context(open_device(one)) for one in targets}
        cells = _cells(found, targets, artifacts, Path(folder), time_limit_s or DEFAULT_TIME_LIMIT_S)
        before = {name: device.facts() for name, device in devices.items()}
        results = _launch_all(cells, devices, launches, seed, progress)
        after = {name: device.facts() for name, device in devices.items()}
        return _collect(found, cells, results, count_all(cells, devices, progress), devices, before, after)


def _cells(
    found: Opened, targets: Sequence[Target], artifacts: Sequence[Artifact], folder: Path, time_limit_s: float
) -> list[Cell]:
    feeds = write_feeds(found, folder, count=_PARITY_FEEDS)
    cells = [
        Cell(
            found,
            artifact,
            target,
            job_for(found, artifact, target, feeds, str(folder / f"{index}-{artifact.recipe}.npz"), time_limit_s),
        )
        for index, target in enumerate(targets)
        for artifact in artifacts
        if opens(target, artifact)
    ]
    missed = [str(target) for target in targets if not any(cell.target == target for cell in cells)]
    if missed:
        names = ", ".join(one.recipe for one in artifacts)
        raise UserError(f"Target '{missed[0]}' opens none of {names}.", hint=f"edgekit bundle inspect {found.path}")
    return cells


def _launch_all(
    cells: Sequence[Cell], devices: dict[str, Device], launches: int, seed: int, progress: Progress
) -> dict[Cell, list[tuple[int, JobResult]]]:
    """Results by cell, each with its place in the whole order."""
    # Interleaving spreads slow phases of the machine over all cells; the shuffle breaks any period in them.
    rng = random.Random(seed)  # noqa: S311  an order, not a secret
    results: dict[Cell, list[tuple[int, JobResult]]] = {cell: [] for cell in cells}
    total = launches * len(cells)
    order = 0
    for round_ in range(launches):
        for cell in rng.sample(list(cells), len(cells)):
            # Outputs are compared once; later launches only take times.
            job = cell.job if round_ == 0 else _without_outputs(cell.job)
            results[cell].append((order, devices[cell.target.device].measure(job)))
            order += 1
            progress.step(order, total, f"{cell.artifact.recipe} on {cell.target}")
    return results


def _without_outputs(job: Job) -> Job:
    return msgspec.structs.replace(job, outputs="")


def _collect(
    found: Opened,
    cells: Sequence[Cell],
    results: dict[Cell, list[tuple[int, JobResult]]],
    counts: Counts,
    devices: dict[str, Device],
    before: dict[str, Facts],
    after: dict[str, Facts],
) -> Profiled:
    profiled = Profiled(facts={str(cell.target): before[cell.target.device] for cell in cells})
    if not found.samples.expected:
        profiled.warnings.append("Parity was not checked: there are no reference outputs.")
    for cell in cells:
        checks = _parity(found, cell)
        profiled.parity += checks
        if worst(check.verdict for check in checks) is Verdict.FAIL:
            profiled.warnings.append(
                f"No latency of '{cell.artifact.recipe}' on {cell.target}: it failed parity there."
            )
            continue
        emulated = devices[cell.target.device].emulated or before[cell.target.device].emulated
        launches = [to_launch(order, result) for order, result in results[cell]]
        measurement = msgspec.structs.replace(
            measurement_of(cell, launches, emulated), instructions=counts.get(cell, ())
        )
        profiled.measurements.append(measurement)
        pair = before[cell.target.device], after[cell.target.device]
        profiled.latency.append(summarize(measurement, [result for _, result in results[cell]], *pair))
    return profiled


def _parity(found: Opened, cell: Cell) -> list[ParityCheck]:
    """What the device answered against PyTorch; nothing where there are no references."""
    if not found.samples.expected:
        return []
    answers = read_arrays(Path(cell.job.outputs), UserError)
    rows = sorted({int(key.partition(":")[0]) for key in answers})
    samples = found.samples.take(rows)
    stack = np.concatenate if found.spec.batch_axis is not None else np.stack
    got = {name: stack([answers[f"{row}:{name}"] for row in rows]) for name in samples.expected}
    return list(compare_outputs(cell.artifact, found.spec, got, samples, where=str(cell.target), case="on the target"))
