"""PyTorch's outputs for every sample and case, and the spec completed by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from edgekit.core.errors import ConversionFailed, UserError
from edgekit.core.samples import Feed, Samples, read_arrays
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import Axis, TensorSpec
from edgekit.export import messages
from edgekit.export.checking.accuracy import refuse_unfitting
from edgekit.export.checking.cases import Case, worth_keeping
from edgekit.export.checking.meanings import masks
from edgekit.export.checking.sampling import feeds_of, joined
from edgekit.export.checking.tasks.task_forms import with_form
from edgekit.export.messages import ModuleRef
from edgekit.export.shapes.lengths import sizes_of_samples
from edgekit.export.workers.arrays import pack_feeds, save_arrays, unpack_feeds
from edgekit.export.workers.toolchain import STATE, WEIGHTS
from edgekit.export.workers.worker import Worker


@dataclass(frozen=True)
class Reference:
    """The completed spec, and samples and cases with their expected outputs.

    `varying` are the outputs whose shape depends on the values of the inputs, with the shortest and the longest.
    """

    spec: ModelSpec
    samples: Samples
    cases: tuple[Case, ...]
    traced: messages.Traced
    warnings: tuple[str, ...]
    varying: Mapping[str, str] = field(default_factory=dict)


class OneSampleOnly(UserError):
    """The module takes one sample at a time, or loses its batch axis with one: its batch cannot be dynamic."""


def ask_reference(
    worker: Worker, module: ModuleRef, spec: ModelSpec, samples: Samples, cases: Sequence[Case], folder: Path, seed: int
) -> Reference:
    """Run the module on samples and cases in the worker.

    Raises:
        UserError: The module fails on the samples, or its outputs do not match the labels or targets of the samples.
        OneSampleOnly: It runs on one sample and not on several.
    """
    feeds = [*(case.feed for case in cases), *feeds_of(samples, spec)]
    save_arrays(folder / "feeds.npz", pack_feeds(feeds))
    job = messages.RunModule(
        module,
        spec,
        str(folder / "feeds.npz"),
        str(folder / "outputs.npz"),
        seed,
        state=str(folder / STATE),
        weights=str(folder / WEIGHTS),
        noise=str(folder / "noise.npz"),
        noisy=_noisy(cases, samples, spec, len(feeds)),
        fixed=tuple(sorted(masks(samples, spec))),
    )
    traced = worker.ask(job, "running the module").traced
    if traced is None:
        raise ConversionFailed(f"The {worker.toolchain} converter did not return reference outputs.")
    answers = unpack_feeds(read_arrays(folder / "outputs.npz", ConversionFailed))
    failed = next((reason for index, reason in sorted(traced.failures.items()) if index >= len(cases)), None)
    if failed is not None:
        raise (OneSampleOnly if _takes_one_only(cases, answers, spec) else UserError)(failed)
    noise = unpack_feeds(read_arrays(folder / "noise.npz", ConversionFailed))
    answered = [
        case.with_expected(answers[index], noise.get(index, {})) for index, case in enumerate(cases) if index in answers
    ]
    own = {index: answers[index] for index in range(len(cases), len(feeds))}
    seen = (*answered, *_as_cases(own, feeds, samples, spec))
    spec = msgspec.structs.replace(spec, is_untrained=traced.is_untrained)
    complete = _with_outputs(spec, traced.outputs, seen)
    complete.refuse_unknown_states()
    kept = worth_keeping(answered, samples, spec)
    if spec.batch_axis and not complete.is_splittable:
        own, noise = _one_by_one(worker, job, complete, samples, folder)
    failures = [(cases[index], reason) for index, reason in sorted(traced.failures.items())]
    _refuse_failed_signatures(failures, spec)
    answered_samples = samples.with_expected(joined(list(own.values()), complete), _first_rows(noise, own, complete))
    refuse_unfitting(complete, answered_samples)
    complete, read_as = with_form(complete, answered_samples)
    warnings = (*read_as, *traced.notes, *_random(traced), *_unchecked(kept, failures, samples, spec))
    return Reference(complete, answered_samples, kept, traced, warnings, _varying(seen))


def _as_cases(own: Mapping[int, Feed], feeds: Sequence[Feed], samples: Samples, spec: ModelSpec) -> Iterator[Case]:
    """The feeds of the samples, as far as they show which shapes the outputs have."""
    whole = sizes_of_samples(samples, spec)
    for index, expected in own.items():
        rows = len(next(iter(feeds[index].values()))) if spec.batch_axis else 1
        sizes = {**whole, spec.batch_axis: rows} if spec.batch_axis else dict(whole)
        yield Case("samples", sizes, {}, expected, rows=rows)


def _varying(cases: Sequence[Case]) -> dict[str, str]:
    """Outputs with several shapes at the same sizes of the inputs."""
    shapes: dict[tuple[str, tuple[tuple[str, int], ...]], set[tuple[int, ...]]] = {}
    for case in cases:
        for name, array in case.expected.items():
            shapes.setdefault((name, tuple(sorted(case.sizes.items()))), set()).add(array.shape)
    return {name: f"{list(min(found))} to {list(max(found))}" for (name, _), found in shapes.items() if len(found) > 1}


def _noisy(cases: Sequence[Case], samples: Samples, spec: ModelSpec, feeds: int) -> tuple[int, ...]:
    """The feeds whose noise is measured, in this order: the first samples, which always are, then the cases."""
    first, *others = range(len(cases), feeds)
    return (first, *_unlike_samples(cases, samples, spec), *others)


def _unlike_samples(cases: Sequence[Case], samples: Samples, spec: ModelSpec) -> list[int]:
    """The cases whose rows are not just rows of the samples: their noise is their own."""
    whole = sizes_of_samples(samples, spec)
    return [
        index
        for index, case in enumerate(cases)
        if case.is_extreme or any(case.sizes.get(axis) != size for axis, size in whole.items())
    ]


def _first_rows(noise: Mapping[int, Feed], answers: Mapping[int, Feed], spec: ModelSpec) -> Feed:
    """The noise of the samples from the first on, up to the one that was not measured any more."""
    found: list[Feed] = []
    for index, answer in answers.items():
        if not noise.get(index):
            break
        found.append(noise[index])
        if any(array.shape != answer[name].shape for name, array in noise[index].items()):
            break
    # Where an output is padded it has no noise.
    return {name: np.where(np.isnan(one), 0, one) for name, one in joined(found, spec).items()} if found else {}


def _takes_one_only(cases: Sequence[Case], answers: Mapping[int, Feed], spec: ModelSpec) -> bool:
    """Whether the module ran on one row and never on several."""
    rows = {case.rows for index, case in enumerate(cases) if index in answers}
    return spec.batch_axis is not None and not spec.outputs and rows == {1}


def _one_by_one(
    worker: Worker, job: messages.RunModule, spec: ModelSpec, samples: Samples, folder: Path
) -> tuple[dict[int, Feed], dict[int, Feed]]:
    """Outputs for each sample alone, and their noise, for a module with values per call."""
    feeds = feeds_of(samples, spec)
    save_arrays(folder / "singles.npz", pack_feeds(feeds))
    given = {"feeds": str(folder / "singles.npz"), "outputs": str(folder / "single_outputs.npz")}
    job = msgspec.structs.replace(job, **given, state="", weights="", noisy=tuple(range(len(feeds))))
    traced = worker.ask(job, "running the module").traced
    if traced is None or traced.failures:
        raise UserError(next(iter(traced.failures.values()))) if traced else ConversionFailed("No reference outputs.")
    answers = unpack_feeds(read_arrays(folder / "single_outputs.npz", ConversionFailed))
    noise = unpack_feeds(read_arrays(Path(job.noise), ConversionFailed))
    return {index: answers[index] for index in range(len(feeds))}, noise


def _refuse_failed_signatures(failures: Sequence[tuple[Case, str]], spec: ModelSpec) -> None:
    """Raise for requested sizes that the module does not accept."""
    for case, reason in failures:
        if case.sizes and not case.is_extreme and all(size in spec.sizes_of(axis) for axis, size in case.sizes.items()):
            raise UserError(f"The module does not accept {case.name}, one of the requested sizes. {reason}")


def _random(traced: messages.Traced) -> tuple[str, ...]:
    """The warning about weights that are not those of the user's next run."""
    if not traced.is_random:
        return ()
    return (
        "the factory's weights are random: each call of it sets others, and all artifacts have those of one call, "
        "which the bundle contains; give --weights, or set every seed in the factory",
    )


def _unchecked(
    kept: Sequence[Case], failures: Sequence[tuple[Case, str]], samples: Samples, spec: ModelSpec
) -> Iterator[str]:
    """One warning for every free axis that was checked at one size only, and for every other case left out."""
    whole = sizes_of_samples(samples, spec)
    for axis, size in whole.items():
        if {case.sizes[axis] for case in kept} == {size}:
            reason = next((why for case, why in failures if case.sizes[axis] != size), "there is no shorter length")
            yield f"axis '{axis}' was checked only at {size}: {reason}"
    for case, why in failures:
        if all(case.sizes[axis] == size for axis, size in whole.items()):
            yield f"case '{case.name}' was skipped: {why}"


def _with_outputs(spec: ModelSpec, names: Sequence[str], cases: Sequence[Case]) -> ModelSpec:
    found = tuple(_output(name, cases, spec) for name in names)
    if not spec.outputs:
        return msgspec.structs.replace(spec, outputs=found)
    for wanted, got in zip(spec.outputs, found, strict=True):
        if wanted.dtype != got.dtype or not _agrees(wanted.shape, got.shape):
            raise UserError(f"The spec has the output '{wanted}'; the module returns '{got}'.")
    return spec


def _output(name: str, cases: Sequence[Case], spec: ModelSpec) -> TensorSpec:
    arrays = [case.expected[name] for case in cases]
    ranks = {case.rows == 1: case.expected[name].ndim for case in cases}
    if len({array.ndim for array in arrays}) > 1:
        only = len(ranks) == 2 and all(case.expected[name].ndim == ranks[case.rows == 1] for case in cases)
        kind = OneSampleOnly if only and spec.batch_axis is not None and not spec.outputs else UserError
        raise kind(f"Output '{name}' changes its number of axes with the size of the input.")
    shape = tuple(_axis(name, index, cases, spec) for index in range(arrays[0].ndim))
    return TensorSpec(name, str(arrays[0].dtype), shape)


def _axis(name: str, index: int, cases: Sequence[Case], spec: ModelSpec) -> Axis:
    """A size, the input's free axis that always has this size, or a name of its own for one that follows from them."""
    sizes = [case.expected[name].shape[index] for case in cases]
    if len(set(sizes)) == 1:
        return int(sizes[0])
    for axis in spec.free_axes:
        if all(case.sizes[axis] == size for case, size in zip(cases, sizes, strict=True)):
            return axis
    return f"{name}_{index}".replace(".", "_")


def _agrees(wanted: tuple[Axis, ...], got: tuple[Axis, ...]) -> bool:
    pairs = zip(wanted, got, strict=False)
    return len(wanted) == len(got) and all(
        isinstance(a, str) == isinstance(b, str) and (a == b or isinstance(a, str)) for a, b in pairs
    )
