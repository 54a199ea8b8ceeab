"""Opening what a user names: a bundle, or a bare .onnx or .tflite file, as one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.errors import Incomplete, MissingExtra, ModelUnreadable, UserError, unknown
from edgekit.core.generated import generated
from edgekit.core.recipe import Recipe, matches
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import parse_sizes
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.target import Target
from edgekit.flows.opening.external_data import self_contained
from edgekit.flows.opening.states import before_a_stream, with_states
from edgekit.flows.opening.values import parse_values, samples_with_values
from edgekit.flows.signing.policy import user_policy
from edgekit.runtime.backend import BACKENDS, Backend, Session, declared_sizes, default_backend, offered_sizes

FORMATS: Final = {".onnx": "onnx", ".tflite": "tflite", ".json": "fake"}
# Engines that only other machines have, with the format each opens.
REMOTE_BACKENDS: Final = {"ort-web": "onnx", "litert-js": "tflite", "tflite-runtime": "tflite"}
_SAMPLE_COUNT: Final = 8
_SIGNATURE: Final = "@signature="
# The sizes in hints: of an image, and of any other sequence.
_IMAGE_RANK: Final = 4
_EXAMPLE_IMAGE: Final = 224
_EXAMPLE_LENGTH: Final = 64

SizesHint = Callable[[Sequence[str]], str]
"""The hint for a file whose axes have no size, from texts such as `height=224`."""


@dataclass(frozen=True)
class Opened:
    """Artifacts with their files, and samples to run them on (without references for a bare file).

    `is_described_by_file` is true if `spec` was read from a bare file and contains only what its backend knows.
    `options` are those of the backend that the path of a bare file names: `model.tflite@signature=encode`.
    """

    path: Path
    spec: ModelSpec
    artifacts: tuple[Artifact, ...]
    files: dict[str, Path]
    samples: Samples
    bundle: Bundle | None
    is_described_by_file: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def options_on(self, target: Target) -> dict[str, str]:
        """The options of the backend on a target, with those that the path names."""
        return {**self.options, **dict(target.options)}

    def chosen(self, names: Sequence[str]) -> tuple[Artifact, ...]:
        """The artifacts that `names` (recipes or aliases) cover, or all if `names` is empty.

        Raises:
            UserError: A name that covers none; the nearest is suggested.
        """
        for name in names:
            if not any(matches(name, artifact.recipe) for artifact in self.artifacts):
                raise unknown("artifact", name, [artifact.recipe for artifact in self.artifacts])
        if not names:
            return self.artifacts
        return tuple(one for one in self.artifacts if any(matches(name, one.recipe) for name in names))


def is_bare(path: Path) -> bool:
    """True for a model file outside of a bundle, also with the signature that is to be run."""
    file, _ = without_signature(path)
    return file.is_file() and file.suffix in FORMATS


def without_signature(path: Path) -> tuple[Path, dict[str, str]]:
    """The file in `model.tflite@signature=encode`, and the option of its backend."""
    file, mark, name = str(path).rpartition(_SIGNATURE)
    return (Path(file), {"signature": name}) if mark and name else (path, {})


@contextmanager
def opened(
    path: Path,
    *,
    with_samples: bool = True,
    sizes: Sequence[str] = (),
    inputs: Sequence[str] = (),
    states: Sequence[str] = (),
    hint: SizesHint | None = None,
    is_own: bool = False,
    progress: Progress = Silent(),
) -> Iterator[Opened]:
    """The bundle or bare model file at `path`.

    Args:
        with_samples: Whether a bundle's samples are read, and inputs of a bare file generated.
        sizes: Sizes of the dynamic axes of a bare file, as in `parse_sizes`; inputs are generated with them.
        inputs: Values of inputs of a bare file, as in `parse_values`; those of the others are generated.
        states: Pairs of an output and an input, as in `with_states`.
        hint: The hint if an axis has no size; by default the command with `--sizes`.
        is_own: This command has just made it, so it needs no signature.
        progress: Shows that a bundle is being opened.

    Raises:
        BundleUnreadable, ModelUnreadable: It is neither, or damaged.
        UserError: The user's settings require a signature, which it lacks, or by someone else.
        UserError: Sizes for a bundle, or for an axis or size that the file does not have; or inputs are to be
            generated, and the size of a dynamic axis other than the batch is neither given nor in the file.
    """
    if is_bare(path):
        if not is_own:
            user_policy().check_file(path)
        with self_contained(without_signature(path)[0]) as file:
            found = _described(_bare(path, file, sizes), states)
            yield _with_generated(found, inputs, hint) if with_samples else found
        return
    if inputs:
        message = f"--input does not apply to '{path}': a bundle runs on its own samples."
        raise UserError(message, hint="Omit --input.")
    if sizes:
        message = f"--sizes does not apply to '{path}': a bundle runs on its own samples."
        raise UserError(message, hint="Omit --sizes; --batch 1,8 sets the batch size.")
    with opened_bundle(path, progress, is_own=is_own) as bundle, ExitStack() as stack:
        yield _described(_in_one_file_each(of_bundle(bundle, with_samples=with_samples), stack), states)


def _in_one_file_each(found: Opened, stack: ExitStack) -> Opened:
    """`found` with the external data of each artifact inside its file, which lasts as long as `stack`."""
    files = {recipe: stack.enter_context(self_contained(file)) for recipe, file in found.files.items()}
    artifacts = tuple(
        msgspec.structs.replace(one, size_bytes=whole.stat().st_size, sha256=sha256_file(whole))
        if (whole := files[one.recipe]) != found.files[one.recipe]
        else one
        for one in found.artifacts
    )
    return replace(found, artifacts=artifacts, files=files)


def _described(found: Opened, states: Sequence[str]) -> Opened:
    """`found` with its states: those that are named, that the bundle knows, or that are recognized."""
    return replace(found, spec=with_states(found.spec, states))


@contextmanager
def opened_bundle(path: Path, progress: Progress = Silent(), *, is_own: bool = False) -> Iterator[Bundle]:
    """The bundle at `path`. `progress` shows that its checksums, and a signature that is required, are verified.

    Raises:
        BundleUnreadable: It is not a bundle, or is damaged.
        UserError: The user's settings require a signature, which it lacks, or by someone else.
    """
    with ExitStack() as stack:
        with progress.stage(f"open {path.name}"):
            bundle = stack.enter_context(Bundle.open(path))
            if not is_own:
                user_policy().check(bundle)
        yield bundle


def of_bundle(bundle: Bundle, *, with_samples: bool = True) -> Opened:
    """The contents of an open bundle; checksums are not verified again."""
    files = {artifact.recipe: bundle.file(artifact) for artifact in bundle.artifacts}
    samples = Samples({})
    if with_samples:
        samples = bundle.samples() or generated(bundle.spec, count=_SAMPLE_COUNT)
    return Opened(bundle.path, bundle.spec, bundle.artifacts, files, samples, bundle)


def backend_for(artifact: Artifact, name: str = "") -> Backend:
    """The backend called `name`, or the one that opens this artifact by default.

    Raises:
        UserError: The backend does not open this format.
    """
    backend: Backend = BACKENDS.get(name or default_backend(artifact.format))()
    if artifact.format not in backend.formats():
        raise UserError(
            f"Backend '{backend.name}' does not open '{artifact.recipe}'; it opens {', '.join(backend.formats())}."
        )
    return backend


def opens(target: Target, artifact: Artifact | Recipe) -> bool:
    """True when the target's backend (or its default) opens the format of this artifact, or of what a recipe makes."""
    if not target.backend:
        return True
    if target.backend in REMOTE_BACKENDS:
        return artifact.format == REMOTE_BACKENDS[target.backend]
    return artifact.format in BACKENDS.get(target.backend)().formats()


def runnable_here(artifacts: Sequence[Artifact]) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
    """The artifacts whose default backend is installed on this machine, and a sentence on the others of each format.

    Raises:
        MissingExtra: It has the backend of none of them.
    """
    kinds = dict.fromkeys(one.format for one in artifacts)
    missing = {kind: err for kind in kinds if (err := missing_backend(kind)) is not None}
    kept = tuple(one for one in artifacts if one.format not in missing)
    if missing and not kept:
        raise next(iter(missing.values()))
    return kept, tuple(
        f"{', '.join(one.recipe for one in artifacts if one.format == kind)}: left out. {err.message} {err.hint}"
        for kind, err in missing.items()
    )


def missing_backend(kind: str) -> MissingExtra | None:
    """The error that says what to install for files of a format; None where their default backend is installed."""
    try:
        BACKENDS.get(default_backend(kind))().check()
    except MissingExtra as err:
        return err
    return None


def open_session(opened_: Opened, artifact: Artifact, target: Target) -> Session:
    """A session in this process, with the target's backend and options."""
    backend = backend_for(artifact, target.backend)
    spec = None if opened_.is_described_by_file else opened_.spec
    return backend.open(opened_.files[artifact.recipe], opened_.options_on(target), spec)


def feed_at(spec: ModelSpec, samples: Samples, row: int, batch: int = 1) -> Feed:
    """The feed of `batch` samples from `row` on, cycling; a model without a dynamic batch axis takes one sample."""
    if spec.batch_axis is None:
        return {name: np.asarray(array[row % len(samples)]) for name, array in samples.inputs.items()}
    rows = [(row + offset) % len(samples) for offset in range(batch)]
    return {name: array[rows] for name, array in samples.inputs.items()}


def _bare(path: Path, file: Path, sizes: Sequence[str]) -> Opened:
    """A model file as an artifact of its own, described by what its engine reads from `file`."""
    path, options = without_signature(path)
    kind, name = FORMATS[path.suffix], "@".join((path.stem, *options.values()))
    backend: Backend = BACKENDS.get(default_backend(kind))()
    with backend.open(file, options, None) as session:
        spec = ModelSpec(name, "other", session.inputs, session.outputs, sizes=offered_sizes(session))
        declared = declared_sizes(session)
    if not spec.inputs:
        raise ModelUnreadable(f"'{path}' has no inputs.")
    spec = msgspec.structs.replace(spec, sizes={**declared, **spec.sizes, **_asked_sizes(spec, sizes)})
    digest = sha256_file(file)
    artifact = Artifact(name, path.name, kind, "", file.stat().st_size, digest, digest, spec.inputs, spec.outputs)
    return Opened(path, spec, (artifact,), {name: file}, Samples({}), None, True, options)


def _with_generated(found: Opened, inputs: Sequence[str], hint: SizesHint | None) -> Opened:
    """`found` with generated inputs at the known sizes, except `inputs`; a stream is at its start."""
    refuse_unsized(found.path, found.spec, hint)
    given = {**before_a_stream(found.spec), **parse_values(inputs, found.spec)}
    return replace(found, samples=samples_with_values(generated(found.spec, count=_SAMPLE_COUNT), given))


def refuse_unsized(path: Path, spec: ModelSpec, hint: SizesHint | None = None) -> None:
    """Raise if inputs of a model file cannot be generated: at size 1, a latency says nothing.

    Raises:
        UserError: A dynamic axis other than the batch has no size.
    """
    if not spec.unsized_axes:
        return
    axes = " and ".join(f"'{axis}'" for axis in spec.unsized_axes)
    message = f"'{path}' takes inputs of any size: the size of {axes} is not known."
    texts = example_sizes(spec)
    if hint is not None:
        raise UserError(message, hint=hint(texts))
    raise Incomplete(message, options=[word for text in texts for word in ("--sizes", text)])


def example_sizes(spec: ModelSpec) -> list[str]:
    """A usual size for each dynamic axis without one, as `height=224`."""
    return [f"{axis}={_example_size(spec, axis)}" for axis in spec.unsized_axes]


def _example_size(spec: ModelSpec, axis: str) -> int:
    rank = next(len(tensor.shape) for tensor in spec.inputs if axis in tensor.shape)
    return _EXAMPLE_IMAGE if rank >= _IMAGE_RANK else _EXAMPLE_LENGTH


def _asked_sizes(spec: ModelSpec, texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """One size for each axis that the user names."""
    asked = parse_sizes(texts)
    for axis, sizes in asked.items():
        if axis not in spec.free_axes:
            raise unknown("dynamic axis", axis, spec.free_axes)
        offered = spec.sizes.get(axis, sizes)
        if len(sizes) > 1 or sizes[0] not in offered:
            choices = f" of {', '.join(map(str, offered))}" if axis in spec.sizes else ""
            raise UserError(f"sizes: expected one size{choices} for '{axis}', got {', '.join(map(str, sizes))}.")
        if axis == spec.batch_axis and axis not in spec.sizes and sizes[0] > 1:
            raise UserError(f"sizes: '{axis}' is the batch.", hint=f"--batch {sizes[0]}")
    return asked
