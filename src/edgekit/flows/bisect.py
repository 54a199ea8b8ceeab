"""`edgekit bisect`: the first tensor where two artifacts of a bundle, or an artifact and its module, diverge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgekit.core.bundle import CASES, Artifact, Bundle, Signature
from edgekit.core.errors import BundleUnreadable, ConversionFailed, ModelUnreadable, UserError, unknown
from edgekit.core.reports.bisect import BisectReport, RefusedOperator
from edgekit.core.samples import Feed, Samples, read_arrays
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.documents import now
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.export import messages
from edgekit.export.bisecting.bisect import Bisected
from edgekit.export.checking.cases import Case, load_cases
from edgekit.export.checking.ranges import LEAST, used_shares
from edgekit.export.checking.tolerance import TOLERANCES, Tolerance
from edgekit.export.factory_call import parse_factory
from edgekit.export.formats import TORCH, Tracer, tracer_of
from edgekit.export.graphs.trace import Trace, stacked, trace_of
from edgekit.export.messages import ModuleRef
from edgekit.export.raw_inputs import raw_input_of
from edgekit.export.workers.arrays import pack_feeds, save_arrays, unpack_feeds
from edgekit.export.workers.worker import Worker
from edgekit.flows.opening.artifacts import backend_for, opened_bundle
from edgekit.flows.opening.factories import resolved
from edgekit.flows.opening.repository import reproduction
from edgekit.flows.opening.versions import versions
from edgekit.runtime.preprocessing import is_raw
from edgekit.train.registry import MODELS

SAMPLES_CASE: Final = "samples"
# Runs at the smallest batch: enough to tell tensors apart, few enough to keep every one of them in memory.
_RUNS: Final = 4
_PRECISIONS: Final = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class ModuleOptions:
    """Where the torch module is if the bundle does not say: `FILE.py:FACTORY`, and its weights."""

    source: str = ""
    weights: Path | None = None


def bisect(
    path: str | Path,
    a: str,
    b: str,
    *,
    case: str = "",
    module: ModuleOptions = ModuleOptions(),
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> BisectReport:
    """Align two graphs of a bundle and find where B diverges from A.

    Args:
        a, b: Recipe names or aliases, or `torch` for the module that the bundle was made from.
        case: A case of the bundle such as `N=5`, or `samples`; if empty, the first that shows a difference.

    Raises:
        UserError: Unknown names, or a module that cannot be found.
        ModelUnreadable, ConversionFailed: A file, or the module, does not run.
    """
    with (
        opened_bundle(Path(path), progress) as bundle,
        temporary_folder() as folder,
        Worker(TORCH, timeout_s=settings.timeout_s) as worker,
    ):
        first, second = (_side(bundle, name, module, worker, Path(folder)) for name in (a, b))
        tolerance = _tolerance(first, second)
        cases = [*_cases(bundle, first, second, case)]
        found = []
        for done, one in enumerate(cases, start=1):
            found.append(_bisected(str(path), first, second, one, tolerance))
            progress.step(done, len(cases), one.name)
            # Made-up inputs leave rests of large values somewhere inside, which nobody sees at the end.
            if found[-1].refused or (found[-1].first is not None and (done == 1 or _is_wrong(found[-1]))):
                return _dated(found[-1])
        return _dated(_with_narrow(found[0], bundle, second))


def _dated(found: BisectReport) -> BisectReport:
    """`found` with when and where it was made."""
    return msgspec.structs.replace(found, created=now(), tools=versions(), reproduction=reproduction())


def _is_wrong(found: BisectReport) -> bool:
    """True when what the graphs compute last, an output, is out of tolerance."""
    return not found.aligned[-1].is_within


def _with_narrow(found: BisectReport, bundle: Bundle, side: _Side) -> BisectReport:
    """`found`, in which nothing is out of tolerance, with the tensors whose scale is far too large."""
    samples = bundle.samples()
    if side.artifact is None or side.artifact.precision != "int8" or samples is None:
        return found
    shares = used_shares(side.file, side.artifact, bundle.spec, samples)
    narrow = {name: share for name, share in shares.items() if share < LEAST}
    places = [place for place, one in enumerate(found.aligned) if one.b in narrow]
    return msgspec.structs.replace(found, narrow=narrow, first=places[0] if places else None)


@dataclass(frozen=True)
class _Inputs:
    """One case: the whole feed where it is one, and the feeds that both sides run."""

    name: str
    feeds: tuple[Feed, ...]
    sizes: dict[str, int]
    whole: Feed | None = None


@dataclass(frozen=True)
class _Side:
    """One of the two graphs."""

    name: str
    spec: ModelSpec
    artifact: Artifact | None
    file: Path
    module: ModuleRef | None = None
    worker: Worker | None = None
    seed: int = 0
    weights: str = ""

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return self.artifact.signatures if self.artifact else ()

    def trace(self, inputs: _Inputs) -> Trace:
        if self.artifact is None:
            return self._trace_module(inputs.feeds)
        return self.tracer.trace(self.file, inputs.feeds, _signature(self.signatures, inputs.sizes))

    def refuses(self, inputs: _Inputs) -> RefusedOperator | None:
        """What in the file does not run, or the entry point that it should have for these sizes."""
        if self.artifact is None:
            return None
        feeds = [*inputs.feeds[:1], *([inputs.whole] if inputs.whole is not None else [])]
        return self.tracer.refused(self.file, feeds, _signature(self.signatures, inputs.sizes), self.name)

    @property
    def tracer(self) -> Tracer:
        found = tracer_of(self.artifact.format) if self.artifact else None
        if found is None:
            raise UserError(f"'{self.name}' has no graph that can be inspected.")
        return found

    def _trace_module(self, feeds: Sequence[Feed]) -> Trace:
        assert self.module is not None
        assert self.worker is not None
        given, made = self.file / "feeds.npz", self.file / "values.npz"
        save_arrays(given, pack_feeds(feeds))
        job = messages.Steps(self.module, self.spec, str(given), str(made), self.seed)
        stepped = self.worker.ask(job, "running the module").stepped
        if stepped is None:
            raise ConversionFailed("The worker returned no tensors of the module.")
        if self.weights and stepped.weights != self.weights:
            raise UserError(
                f"The weights of the module at '{self.module.location}' are not those the bundle was made from.",
                hint="--weights FILE, with the file given to the export",
            )
        runs = unpack_feeds(read_arrays(made, ConversionFailed))
        return trace_of(stepped.graph, stacked(runs[index] for index in sorted(runs)))


def _side(bundle: Bundle, name: str, module: ModuleOptions, worker: Worker, folder: Path) -> _Side:
    if name != TORCH:
        known = {one.recipe for one in bundle.artifacts}
        if not any(recipe == name or recipe.startswith(f"{name}-") for recipe in known):
            raise unknown("artifact", name, [*known, TORCH])
        artifact = bundle.artifact(name)
        backend_for(artifact).check()
        if tracer_of(artifact.format) is None:
            raise UserError(f"'{artifact.recipe}' has no graph that can be inspected.")
        return _Side(artifact.recipe, bundle.spec, artifact, bundle.file(artifact))
    record = bundle.artifacts[0].record if bundle.artifacts else {}
    weights, seed = str(record.get("weights", "")), int(record.get("seed", 0))
    return _Side(TORCH, bundle.spec, None, folder, _module(bundle, module), worker, seed, weights)


def _module(bundle: Bundle, options: ModuleOptions) -> ModuleRef:
    """The module: what the user names, else what the bundle remembers, with the weights that travel in it."""
    source = bundle.manifest.source
    own = bundle.root / "weights.safetensors"
    weights = str(options.weights or (own if own.is_file() else ""))
    raw = raw_input_of(bundle.spec) if is_raw(bundle.spec) else None
    location = options.source or source.get("factory", "")
    if location in MODELS or (not location and source.get("model") in MODELS):
        return ModuleRef(MODELS.get(location or source["model"]).location, weights, raw)
    call = parse_factory(location) if location else None
    if call is None or (call.is_file and not Path(call.place).is_file()):
        raise UserError(
            f"The module that '{bundle.path}' was made from was not found"
            f"{f': there is no file {call.place!r}' if call else ''}.",
            hint=f"edgekit bisect {bundle.path} torch ARTIFACT --source FILE.py:FACTORY",
        )
    return ModuleRef(resolved(call), weights, raw)


def _tolerance(a: _Side, b: _Side) -> Tolerance:
    """That of the coarser precision of the two."""
    precisions = [one.artifact.precision if one.artifact else "fp32" for one in (a, b)]
    places = [_PRECISIONS.index(one) if one in _PRECISIONS else len(_PRECISIONS) - 1 for one in precisions]
    return TOLERANCES[_PRECISIONS[max(places)]]


def _bisected(path: str, a: _Side, b: _Side, inputs: _Inputs, tolerance: Tolerance) -> BisectReport:
    refused = b.refuses(inputs) or a.refuses(inputs)
    if refused is not None:
        return BisectReport(path=path, a=a.name, b=b.name, case=inputs.name, runs=1, aligned=(), refused=refused)
    found = Bisected(a.trace(inputs), b.trace(inputs), tolerance)
    return BisectReport(
        path=path,
        a=a.name,
        b=b.name,
        case=inputs.name,
        runs=len(inputs.feeds),
        aligned=found.aligned,
        first=found.first,
        most=found.most,
        missing=found.missing,
        only_a=found.only_a,
        only_b=found.only_b,
    )


def _cases(bundle: Bundle, a: _Side, b: _Side, name: str) -> Iterator[_Inputs]:
    """The samples, then every case that both sides take; only the one called `name` where it is given."""
    samples = bundle.samples()
    if samples is None:
        raise UserError(f"'{bundle.path}' has no samples to run.", hint="edgekit export SOURCE --samples FILE.npz")
    found = [_from_samples(samples, bundle.spec, a, b)]
    cases = load_cases(bundle.root / CASES, BundleUnreadable) if CASES in bundle.manifest.files else ()
    quantized = any(one.artifact is not None and one.artifact.precision == "int8" for one in (a, b))
    for one in cases:
        # Made-up inputs lie outside what int8 was calibrated for.
        inputs = None if one.is_extreme and quantized else _from_case(one, bundle.spec, a, b)
        found += [inputs] if inputs else []
    if name and name not in {one.name for one in found}:
        raise unknown("case", name, [one.name for one in found])
    return (one for one in found if not name or one.name == name)


def _from_samples(samples: Samples, spec: ModelSpec, a: _Side, b: _Side) -> _Inputs:
    rows = range(min(_RUNS, len(samples)))
    if spec.batch_axis is None:
        feeds = tuple({name: array[row] for name, array in samples.inputs.items()} for row in rows)
    else:
        batch = _smallest_batch(spec, a, b)
        chosen = [np.arange(row * batch, (row + 1) * batch) % len(samples) for row in rows]
        feeds = tuple({name: array[part] for name, array in samples.inputs.items()} for part in chosen)
    return _Inputs(SAMPLES_CASE, feeds, _sizes(feeds[0], spec))


def _from_case(case: Case, spec: ModelSpec, a: _Side, b: _Side) -> _Inputs | None:
    """The case in the batches that both sides take; None where a fixed-shape file has no such sizes."""
    fixed = [one.signatures for one in (a, b) if one.signatures]
    if not fixed or all(case.sizes in [dict(one.sizes) for one in signatures] for signatures in fixed):
        return _Inputs(case.name, (case.feed,), case.sizes, case.feed)
    batch = spec.batch_axis
    if batch is None:
        return None
    sizes = {**case.sizes, batch: _smallest_batch(spec, a, b)}
    if not all(sizes in [dict(one.sizes) for one in signatures] for signatures in fixed) or case.rows < sizes[batch]:
        return None
    starts = range(0, case.rows - sizes[batch] + 1, sizes[batch])
    feeds = tuple({name: array[row : row + sizes[batch]] for name, array in case.feed.items()} for row in starts)
    return _Inputs(case.name, feeds, sizes, case.feed)


def _smallest_batch(spec: ModelSpec, a: _Side, b: _Side) -> int:
    """The smallest batch that a fixed-shape side has, 1 where none is."""
    offered = [one.sizes[spec.batch_axis] for side in (a, b) for one in side.signatures if spec.batch_axis in one.sizes]
    return min(offered, default=1)


def _sizes(feed: Feed, spec: ModelSpec) -> dict[str, int]:
    return {
        axis: size
        for tensor in spec.inputs
        for axis, size in zip(tensor.shape, feed[tensor.name].shape, strict=True)
        if isinstance(axis, str)
    }


def _signature(signatures: Sequence[Signature], sizes: dict[str, int]) -> Signature | None:
    """That of these sizes; None for a file whose axes are free."""
    if not signatures:
        return None
    found = next((one for one in signatures if dict(one.sizes) == sizes), None)
    if found is None:
        raise ModelUnreadable(f"The file has no signature for {sizes}.")
    return found
