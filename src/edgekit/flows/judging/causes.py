"""Causes that a report shows: each needs evidence of its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.facts import Facts
from edgekit.core.job import OperatorTime
from edgekit.core.measurement import Measurement
from edgekit.core.recipe import VNNI_FEATURES
from edgekit.core.reports.explain import Cause
from edgekit.core.reports.report import Latency, Report
from edgekit.core.statistics.trust import disturbances
from edgekit.core.target import Target
from edgekit.core.units import format_value
from edgekit.flows.judging.islands import QuantizedGraph

FLOAT_ISLAND: Final = "float island"
SIGNED: Final = "signed activations on x86"
THREADS: Final = "threads"
NEIGHBOUR: Final = "busy neighbour"
COLD: Final = "cold file cache"
PROVIDER: Final = "provider"
BATCH: Final = "fixed batch"
NO_DOT: Final = "no dot product"
SMALL: Final = "layers too small"

_PLACEMENT: Final = re.compile(r"(\w+) ran (\d+) of (\d+) nodes, (\d+) % of the node time")
_DOT_PRODUCT: Final = VNNI_FEATURES | {"asimddp", "avx_vnni_int8"}
# Of the node time, below which another provider did a part that counts.
_MOST: Final = 90
_FASTER: Final = 1.2
_COLD_RATIO: Final = 2.0
_COLD_S: Final = 1e-3
# Measured on the digits network: at 1 µs an operator int8 is slower than float32, at 3 µs (batch 8) it is faster.
_SMALL_S: Final = 3e-6


@dataclass(frozen=True)
class TimedArtifact:
    """One artifact on one target, with everything a report contains about it."""

    report: Report
    latency: Latency
    measurement: Measurement
    artifact: Artifact | None
    graph: QuantizedGraph | None

    @property
    def facts(self) -> Facts:
        """The facts of the device."""
        return self.report.facts.get(self.latency.target, Facts())

    @property
    def target(self) -> Target:
        """The target as a value."""
        return Target.parse(self.latency.target)

    @property
    def median_s(self) -> float | None:
        """The median latency over launches; None with too few of them."""
        found = self.latency.quantiles.get("p50")
        return found.value if found else None

    @property
    def source(self) -> str:
        """The bundle and recipe, as `compare` takes them."""
        return f"{self.report.bundle}::{self.latency.artifact}"

    @property
    def operators(self) -> tuple[OperatorTime, ...]:
        """The operators as the backend timed them, if the report has them."""
        where = self.latency.target, self.latency.artifact, self.latency.sizes
        return next((one.times for one in self.report.operators if (one.target, one.artifact, one.sizes) == where), ())

    def cause(self, name: str, says: str, evidence: list[str], command: str) -> Cause:
        """A cause for this row."""
        return Cause(name, self.latency.artifact, self.latency.target, says, tuple(evidence), command)


def provider(row: TimedArtifact) -> Iterator[Cause]:
    """A provider other than the requested one ran the model, or much of it."""
    wanted, got = row.target.option("provider"), row.latency.provider
    command = _profile(row)
    if wanted and got and wanted != got:
        says = f"'{got}' ran the model, not '{wanted}'"
        yield row.cause(PROVIDER, says, [f"requested: {wanted}", f"the backend reports: {got}"], command)
        return
    for note in dict.fromkeys(note for launch in row.measurement.launches for note in launch.notes):
        match = _PLACEMENT.search(note)
        if match and int(match[4]) < _MOST:
            rest = int(match[3]) - int(match[2])
            yield row.cause(PROVIDER, f"{rest} operators of the model did not run on {match[1]}", [note], command)


def float_island(row: TimedArtifact) -> Iterator[Cause]:
    """Operators that stayed float between int8 ones: every border converts all values twice."""
    if row.graph is None or not row.graph.islands:
        return
    evidence = [f"float between int8 operators in the optimized graph: {row.graph.described}"]
    evidence.append(f"{row.graph.borders} conversions back to float in front of them")
    says = "some operators between int8 ones stayed float, so values are converted twice"
    yield row.cause(FLOAT_ISLAND, says, evidence, _against_float(row))


def signed(row: TimedArtifact) -> Iterator[Cause]:
    """Signed activations where x86 multiplies unsigned by signed bytes."""
    if "x86_64" not in row.facts.features and row.facts.architecture != "x86_64":
        return
    if "avx_vnni_int8" in row.facts.features:
        return
    by_name = row.latency.artifact.endswith("s8s8")
    by_graph = row.graph is not None and row.graph.signed_activations
    if by_name or by_graph:
        seen = "activations are int8 in the file" if by_graph else f"the recipe is '{row.latency.artifact}'"
        evidence = [seen, f"the processor is {row.facts.architecture or 'x86_64'} without avx_vnni_int8"]
        says = "x86 multiplies unsigned by signed bytes: signed activations use a slower path"
        yield row.cause(SIGNED, says, evidence, _against(row, "onnx-int8-static-u8s8"))


def neighbour(row: TimedArtifact) -> Iterator[Cause]:
    """Other programs used the processor during the measurement: what lowers its trust as well."""
    evidence = disturbances(row.measurement, row.facts)
    if evidence:
        whole = " --end-to-end" if row.latency.end_to_end else ""
        command = f"{_profile(row)}{whole} --launches 12"
        yield row.cause(
            NEIGHBOUR, "other programs ran on the device; stop them and measure again", list(evidence), command
        )


def cold(row: TimedArtifact) -> Iterator[Cause]:
    """The first launch read the file from disk; the later ones found it in memory."""
    launches = sorted(row.measurement.launches, key=lambda launch: launch.order)
    loads = [launch.load_s for launch in launches if launch.load_s is not None]
    if len(loads) < 3 or loads[0] < _COLD_RATIO * max(loads[1:]) or loads[0] - median(loads[1:]) < _COLD_S:
        return
    first, later = format_value(loads[0], "s"), format_value(median(loads[1:]), "s")
    evidence = [f"loading took {first} in the first launch and {later} in the later ones"]
    command = _profile(row)
    yield row.cause(
        COLD, "the first launch read the file from disk; another measurement finds it in memory", evidence, command
    )


def batch(row: TimedArtifact) -> Iterator[Cause]:
    """The artifact takes one sample at a time and received several."""
    if row.artifact is None or not row.artifact.inputs:
        return
    axis = next(
        (name for name, size in row.measurement.sizes.items() if size > 1 and _takes_one(row.artifact, name)), None
    )
    if axis is None:
        return
    size = row.measurement.sizes[axis]
    evidence = [f"measured at {axis}={size}", f"'{row.artifact.recipe}' takes only {axis}=1: {size} runs per call"]
    command = f"edgekit export SOURCE --to {row.artifact.recipe} --sizes {axis}={size} --out NEW"
    yield row.cause(
        BATCH, f"the file has no signature for {axis}={size}, so each call runs it {size} times", evidence, command
    )


def _takes_one(artifact: Artifact, axis: str) -> bool:
    sizes = [signature.sizes[axis] for signature in artifact.signatures if axis in signature.sizes]
    if sizes:
        return max(sizes) == 1
    return all(bool(tensor.shape) and tensor.shape[0] == 1 for tensor in artifact.inputs)


def no_dot_product(row: TimedArtifact) -> Iterator[Cause]:
    """An int8 model on a processor without dot-product instructions for bytes."""
    features = set(row.facts.features)
    if features and not features & _DOT_PRODUCT:
        evidence = [f"the processor has {', '.join(sorted(features))}, and none of {', '.join(sorted(_DOT_PRODUCT))}"]
        says = "the processor has no dot-product instructions for bytes, which make int8 fast"
        yield row.cause(NO_DOT, says, evidence, _against_float(row))


def small_layers(row: TimedArtifact) -> Iterator[Cause]:
    """An int8 model whose operators are so small that starting them takes most of the time."""
    count = row.graph.operators if row.graph else len(row.operators)
    if not count or row.median_s is None or row.median_s / count > _SMALL_S:
        return
    each, whole = (format_value(one, "s") for one in (row.median_s / count, row.median_s))
    yield row.cause(
        SMALL,
        "starting an operator takes about as long as running it, so int8 gains little",
        [f"{count} operators in {whole}: {each} each"],
        _larger_batch(row),
    )


def _larger_batch(row: TimedArtifact) -> str:
    """The command that measures a larger batch; where the file takes one sample, the one that makes such a file."""
    axis = row.report.spec.batch_axis if row.report.spec else None
    one = row.artifact is not None and bool(row.artifact.inputs) and _takes_one(row.artifact, axis or "N")
    size = 8 * max(row.measurement.batch, 1)
    if axis is None or one:
        recipe = "" if _is_bare(row) else f" --to {row.latency.artifact}"
        return f"edgekit export SOURCE{recipe} --sizes {axis or 'N'}=1,{size} --out NEW"
    sizes = ",".join(dict.fromkeys(("1", str(size))))
    return f"{_profile(row)} --batch {sizes} --operators"


def threads_missed(row: TimedArtifact) -> Iterator[Cause]:
    """A latency budget is missed while cores of the device are idle."""
    missed = [
        check
        for check in row.report.budgets
        if check.metric == "latency"
        and check.verdict == "fail"
        and (check.artifact, check.target) == (row.latency.artifact, row.latency.target)
    ]
    cores, threads = row.facts.cores or 1, row.target.threads
    if missed and threads < cores:
        evidence = [f"'{missed[0].budget}' is missed with {threads} of {cores} cores"]
        yield row.cause(THREADS, f"the backend uses {threads} of {cores} cores", evidence, _more_threads(row, cores))


def threads_between(slow: TimedArtifact, fast: TimedArtifact) -> Iterator[Cause]:
    """The same artifact on the same device with fewer threads, and slower."""
    same = slow.latency.artifact == fast.latency.artifact and slow.target.device == fast.target.device
    if not same or slow.median_s is None or fast.median_s is None or slow.target.threads >= fast.target.threads:
        return
    if slow.median_s < _FASTER * fast.median_s:
        return
    before, after = format_value(slow.median_s, "s"), format_value(fast.median_s, "s")
    few, many = slow.target.threads, fast.target.threads
    evidence = [f"{before} with {few} thread{'s' * (few > 1)}, {after} with {many} on the same device"]
    says = f"the backend uses {few} thread{'s' * (few > 1)}, but {many} are faster"
    yield slow.cause(THREADS, says, evidence, _more_threads(slow, many))


def _profile(row: TimedArtifact) -> str:
    return f"edgekit profile {shlex.quote(row.report.bundle)} --target {row.latency.target}"


def _more_threads(row: TimedArtifact, threads: int) -> str:
    target = Target(row.target.device, row.target.backend)
    targets = f"{target}@threads=1,{target}@threads={threads}"
    return f"edgekit profile {shlex.quote(row.report.bundle)} --target {targets}"


def _against_float(row: TimedArtifact) -> str:
    kind = row.artifact.format if row.artifact else row.latency.artifact.partition("-")[0]
    return _against(row, f"{kind}-fp32")


def _is_bare(row: TimedArtifact) -> bool:
    """True where the report is one of a model file, in which there is nothing else to compare with."""
    return Path(row.report.bundle.partition("@signature=")[0]).suffix in (".onnx", ".tflite")


def _against(row: TimedArtifact, recipe: str) -> str:
    """The command that compares an artifact with that of another recipe; the one that makes it, where there is none."""
    if _is_bare(row):
        return f"edgekit export SOURCE --to {recipe} --out NEW"
    if row.report.artifacts and recipe not in {one.recipe for one in row.report.artifacts}:
        return f"edgekit export SOURCE --to {recipe},{row.latency.artifact} --out NEW"
    other = shlex.quote(f"{row.report.bundle}::{recipe}")
    return f"edgekit compare {other} {shlex.quote(row.source)} --target {row.latency.target}"


ALWAYS: Final[tuple[Callable[[TimedArtifact], Iterator[Cause]], ...]] = (
    provider, float_island, signed, neighbour, cold, batch, threads_missed,
)  # fmt: skip
