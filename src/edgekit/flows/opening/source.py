"""Sources: from the text that a user types to a module, its ModelSpec and its samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgekit.core.errors import EnvironmentFault, UserError, nearest, unknown
from edgekit.core.generated import generated
from edgekit.core.recipe import CALIBRATION_METHODS, Recipe
from edgekit.core.refusals import refuse
from edgekit.core.samples import Array, Split, split
from edgekit.core.spec.input_kinds import Preprocessing
from edgekit.core.spec.model_spec import ModelSpec, parse_states
from edgekit.core.spec.tensor_spec import TensorSpec, parse_sizes
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.export.best_int8 import INT8_TIME_S
from edgekit.export.factory_call import is_factory
from edgekit.export.formats import is_model_file
from edgekit.export.messages import Described, ModuleRef
from edgekit.export.raw_inputs import raw_input_of, raw_samples, raw_spec
from edgekit.export.routes import refuse_unreachable, refuse_unused_opset
from edgekit.export.workers.describe import describe_file
from edgekit.flows.opening.artifacts import refuse_unsized
from edgekit.flows.opening.external_data import self_contained
from edgekit.flows.opening.factories import named_factory, not_a_source, package_of, portable, resolved
from edgekit.flows.opening.freed_axes import freed
from edgekit.flows.opening.libraries import named_model, settled, token_inputs, with_tokens
from edgekit.flows.opening.states import at_beginning
from edgekit.flows.opening.trusted_packages import require_trust
from edgekit.flows.reading.held import Held
from edgekit.flows.reading.parameters import with_parameters
from edgekit.flows.reading.preprocess_option import parse_preprocessing, with_preprocessing
from edgekit.flows.reading.sample_files import label_names, read_described
from edgekit.flows.reading.sample_inputs import inputs_of
from edgekit.flows.reading.user_samples import UserModel, completed, with_samples
from edgekit.runtime.backends.quantized import Stored, values_of
from edgekit.train.registry import MODELS

if TYPE_CHECKING:
    from edgekit.core.reports.report import Training
    from edgekit.train.model import ReferenceModel

RUN_FILE: Final = "run.json"
GENERATED: Final = "generated"
_GENERATED_COUNT: Final = 32


@dataclass(frozen=True)
class SourceOptions:
    """The options of a source. `inputs` and `sizes` are texts as in `TensorSpec.parse` and `parse_sizes`.

    `calibration` is the number of samples that calibrate static quantization. `preprocess` says how a file becomes the
    input of a user's own network, as in `parse_preprocessing`. `include_samples` puts samples into the bundle even if
    the licence of their data restricts redistribution. `states` are texts as in `parse_states`. With `trust`,
    the code of an installed package may run, now and later in this project.
    """

    weights: Path | None = None
    inputs: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    samples: Path | None = None
    data: Path | None = None
    labels: Path | None = None
    calibration: int = 128
    calibration_method: str = "min-max"
    task: str = ""
    preprocess: str = ""
    include_samples: bool = False
    states: tuple[str, ...] = ()
    trust: bool = False


@dataclass(frozen=True)
class ExportOptions:
    """How artifacts are made.

    `max_drop` is the largest drop of a quantized one, as a share of 1, also for an error metric; `int8_time_s` the time
    for the search of an int8 mode. With `raw` they contain their preprocessing: they take uint8 images (N, H, W, C) or
    int16 audio, and classifiers return scores. `opset` is that of .onnx files, 0 the default. Without `keep_going` the
    first failure ends the command.
    """

    max_drop: float | None = None
    raw: bool = False
    keep_going: bool = True
    opset: int = 0
    int8_time_s: float = INT8_TIME_S


@dataclass(frozen=True)
class Source:
    """A model ready to be exported: its module, its spec, and real inputs for it.

    `terms` say why the bundle must not contain samples; empty if it may. `download` says what its library downloads.
    """

    module: ModuleRef
    spec: ModelSpec
    split: Split
    samples_from: str
    facts: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    is_quantized: bool = False
    calibration_method: str = "min-max"
    terms: str = ""
    training: Training | None = None
    download: str = ""


def is_reference(source: str) -> bool:
    """True for the name of a reference model."""
    return source in MODELS


def ready_source(
    source: str,
    options: SourceOptions,
    how: ExportOptions,
    recipes: tuple[Recipe, ...],
    settings: Settings,
    progress: Progress = Silent(),
) -> Source:
    """The source that a user named, opened and checked: all `recipes` can be made from it with `how`.

    Raises:
        UserError: Nothing of that name (the nearest is suggested), or options that do not apply to it.
        Refused: A recipe that cannot be made from this source; its code is the reason.
        EnvironmentFault: A reference model without weights; the hint is the command that makes them.
    """
    refuse_unused_opset(how.opset, recipes)
    found = open_source(source, options, settings, progress)
    found = _with_preprocessing(found) if how.raw else found
    _refuse_impossible(found, recipes)
    if how.max_drop is not None:
        _refuse_unmeasured_drop(found, recipes)
    return found


def open_source(source: str, options: SourceOptions, settings: Settings, progress: Progress = Silent()) -> Source:
    """The source a user named: a reference model with weights, a run directory, or `file.py:factory`.

    Raises:
        UserError: Nothing of that name (the nearest is suggested), or options that do not apply to it.
        EnvironmentFault: A reference model without weights; the hint is the command that makes them.
    """
    refuse_unused(source, options)
    if options.calibration_method not in CALIBRATION_METHODS:
        raise unknown("calibration method", options.calibration_method, CALIBRATION_METHODS)
    found = _opened(source, options, settings, progress)
    spec = msgspec.structs.replace(found.spec, states=parse_states(options.states) or found.spec.states)
    spec.refuse_unknown_states()
    return dataclasses.replace(found, spec=spec, calibration_method=options.calibration_method)


def _opened(source: str, options: SourceOptions, settings: Settings, progress: Progress) -> Source:
    if is_reference(source):
        return _reference(MODELS.get(source), _weights(source, options), options, settings)
    path = Path(source)
    if (path / RUN_FILE).is_file():
        return _run_directory(path, options, settings)
    if is_factory(source):
        return _factory(source, options, settings, progress)
    if is_model_file(source) and path.is_file():
        return _file(path, options, settings)
    raise not_a_source(source)


def _with_preprocessing(source: Source) -> Source:
    """The source with its pre-processing inside, and samples of raw values."""
    if is_model_file(source.module.location):
        raise UserError(
            f"--with-preprocessing needs a PyTorch network, but '{source.module.location}' is an exported file.",
            hint="Omit --with-preprocessing, or export from FILE.py:FACTORY.",
        )
    parts, changes = zip(
        *(raw_samples(part, source.spec) for part in (source.split.calibration, source.split.evaluation)), strict=True
    )
    rounded = f"The samples are not integer raw values; they were rounded by up to {max(changes):.2g} steps."
    return dataclasses.replace(
        source,
        module=msgspec.structs.replace(source.module, raw=raw_input_of(source.spec)),
        spec=raw_spec(source.spec),
        split=dataclasses.replace(source.split, calibration=parts[0], evaluation=parts[1]),
        warnings=(*source.warnings, *([rounded] if max(changes) else [])),
    )


def _refuse_impossible(source: Source, recipes: tuple[Recipe, ...]) -> None:
    """Raise for a recipe that no converter leads to from here, or that would be calibrated on invented inputs."""
    refuse_unreachable(source.module.location, recipes, is_quantized=source.is_quantized)
    invented = [recipe.name for recipe in recipes if recipe.needs_calibration or recipe.is_alias]
    if source.samples_from == GENERATED and invented:
        others = [recipe.name for recipe in recipes if recipe.name not in invented]
        instead = ",".join(others) or f"{recipes[0].format}-fp32"
        raise refuse("no-real-samples", f"Recipe '{invented[0]}'", instead=f"--samples FILE.npz, or --to {instead}")


def _refuse_unmeasured_drop(source: Source, recipes: tuple[Recipe, ...]) -> None:
    """Raise when the largest drop cannot be measured, or not kept."""
    if not source.split.evaluation.is_labelled:
        raise UserError("--max-drop needs samples with labels or targets; these have none.", hint="--samples FILE")
    for recipe in recipes:
        whole = f"{recipe.format}-fp32"
        if recipe.precision not in ("fp32", "fp16") and whole not in {one.name for one in recipes}:
            raise UserError(
                f"--max-drop compares '{recipe.name}' with '{whole}', so '{whole}' must be made as well.",
                hint=f"--to {','.join(dict.fromkeys([whole, *(one.name for one in recipes)]))}",
            )


def refuse_unused(source: str, options: SourceOptions) -> None:
    """Raise for an option that this kind of source would ignore."""
    for name, reason in _unused(source).items():
        if getattr(options, name):
            flag = {"inputs": "--input", "states": "--state"}.get(name, f"--{name.replace('_', '-')}")
            raise UserError(f"{flag} does not apply to '{source}': {reason}.", hint=f"Omit {flag}.")


def _unused(source: str) -> dict[str, str]:
    """Fields of SourceOptions that say nothing of this source, each with the reason."""
    own = dict.fromkeys(
        ("inputs", "samples", "labels", "task", "preprocess", "states"), "a reference model has its own"
    )
    own |= (needless := {"trust": "it runs no code of an installed package"})
    if is_reference(source):
        return own
    if (Path(source) / RUN_FILE).is_file():
        return {**own, "weights": "a run directory has its own"}
    given = {"include_samples": "your own samples are always in the bundle"}
    if is_model_file(source):
        return {**given, **needless, "data": "a file gets its samples from --samples", "weights": "it has its own"}
    if not is_factory(source):
        return {}
    needs_none = needless if ".py:" in source or source.endswith(".py") else {}
    return {**given, **needs_none, "data": "a factory gets its samples from --samples"}


def _weights(name: str, options: SourceOptions) -> Path:
    from edgekit.train.weights import require_weights

    return options.weights or require_weights(MODELS.get(name))


def _reference(model: ReferenceModel, weights: Path, options: SourceOptions, settings: Settings) -> Source:
    folder = _data_folder(options, settings)
    if folder is None and (shipped := _shipped(model, weights, options, settings)) is not None:
        return shipped
    dataset = model.data(folder)
    order = np.random.default_rng(settings.seed).permutation(len(dataset.train))[: options.calibration]
    calibration = at_beginning(dataset.train.take(np.sort(order)), model.spec)
    parts = Split(calibration, at_beginning(dataset.test, model.spec), settings.seed)
    facts = {"model": model.spec.name, "weights": weights.name, "data": dataset.source, "data_digest": dataset.digest}
    module, spec = ModuleRef(model.location, str(weights)), _with_sizes(model.spec, options)
    if not model.terms or options.include_samples:
        return Source(module, spec, parts, dataset.source, facts)
    warning = f"The bundle contains no samples ({model.terms}); --include-samples adds them, for your own use."
    return Source(module, spec, parts, dataset.source, facts, (warning,), terms=model.terms)


def _shipped(model: ReferenceModel, weights: Path, options: SourceOptions, settings: Settings) -> Source | None:
    """The source on the few real samples that come with the weights, where the whole data set is not at hand."""
    from edgekit.train.weights import shipped_samples

    samples = shipped_samples(model.spec.name)
    if samples is None:
        return None
    try:
        model.data(None)
    except EnvironmentFault:
        came_from = f"samples shipped with {model.spec.name}"
        parts = split(at_beginning(samples, model.spec), calibration=options.calibration, seed=settings.seed)
        facts = {"model": model.spec.name, "weights": weights.name, "data": came_from}
        module = ModuleRef(model.location, str(weights))
        warning = f"Only the {len(samples)} shipped samples were used; --data DIR uses the whole data set."
        return Source(module, _with_sizes(model.spec, options), parts, came_from, facts, (warning,))
    return None


def _run_directory(path: Path, options: SourceOptions, settings: Settings) -> Source:
    from edgekit.train.training_run import read_run, trained_model, training_of

    run = read_run(path)
    # The spec of the run knows what was learnt from the data, such as a vocabulary.
    model = dataclasses.replace(trained_model(run), spec=run.spec)
    found = _reference(model, path / run.weights, options, settings)
    other = {"factory": model.location} if model.location != MODELS.get(run.model).location else {}
    return dataclasses.replace(found, facts={**found.facts, **other}, training=training_of(path))


def _data_folder(options: SourceOptions, settings: Settings) -> Path | None:
    folder = options.data or (Path(settings.data) if settings.data else None)
    if folder is not None and not folder.is_dir():
        raise UserError(f"There is no data folder '{folder}'.", hint="--data DIR")
    return folder


def _factory(source: str, options: SourceOptions, settings: Settings, progress: Progress) -> Source:
    named = named_factory(source)
    untold = () if named.is_file else require_trust(package_of(named), source, settings, is_given=options.trust)
    model = named_model(named, settings, progress)
    call, known = model.call, model.known
    how = parse_preprocessing(options.preprocess) if options.preprocess else known.preprocessing
    module = ModuleRef(resolved(call), str(options.weights or ""))
    held = _held(options, how, known.labels, with_texts=known.tokens is not None)
    held = with_parameters(held, options.inputs, module, timeout_s=settings.timeout_s)
    held, how = with_tokens(held, model, tuple(map(TensorSpec.parse, options.inputs)), settings), settled(how, held)
    spec = _user_spec(call.name, options, held, how, token_inputs(known.tokens, held))
    if how is not None:
        spec = msgspec.structs.replace(spec, preprocessing=how)
    spec = msgspec.structs.replace(spec, labels=spec.labels or known.labels, licence=known.licence)
    given = _given(spec, held, settings)
    parts = split(given.samples, calibration=options.calibration, seed=settings.seed)
    facts, spec = {"factory": portable(call)}, completed(given.spec, given.samples, options.task)
    warnings = (*untold, *(() if options.preprocess else known.warnings), *given.warnings)
    return Source(module, spec, parts, given.came_from, facts, warnings, download=known.download)


def _file(path: Path, options: SourceOptions, settings: Settings) -> Source:
    """A model that was exported elsewhere; `--input` says which of its fixed axes shall be free."""
    described = describe_file(path, timeout_s=settings.timeout_s)
    spec = _with_sizes(_file_spec(path, described, options), options)
    if options.samples is None:
        refuse_unsized(path, spec)
    held = _held(options, spec.preprocessing if options.preprocess else None)
    given = _given(spec, held, settings, described.codes)
    parts = split(given.samples, calibration=options.calibration, seed=settings.seed)
    with self_contained(path) as whole:
        facts = {"file": path.name, "sha256": sha256_file(whole)}
    module, spec = ModuleRef(str(path.resolve())), completed(given.spec, given.samples, options.task)
    return Source(module, spec, parts, given.came_from, facts, given.warnings, is_quantized=described.is_quantized)


def _file_spec(path: Path, described: Described, options: SourceOptions) -> ModelSpec:
    given = {tensor.name: tensor for tensor in map(TensorSpec.parse, options.inputs)}
    names = [tensor.name for tensor in described.inputs]
    wrong = next((name for name in given if name not in names), None)
    if wrong is not None:
        raise UserError(
            f"'{path}' has no input '{wrong}'.{nearest(wrong, names)}", hint=f"Its inputs: {', '.join(names)}"
        )
    inputs = tuple(freed(tensor, given.get(tensor.name), path) for tensor in described.inputs)
    spec = ModelSpec(
        path.stem, options.task or "other", inputs, sizes=described.sizes, labels=label_names(options.labels)
    )
    return with_preprocessing(spec, options.preprocess)


def _user_spec(
    name: str, options: SourceOptions, held: Held | None, how: Preprocessing | None, known: tuple[TensorSpec, ...] = ()
) -> ModelSpec:
    made = how or (held.preprocessing if held else None)
    inputs = tuple(TensorSpec.parse(text) for text in options.inputs) or known or inputs_of(held, made)
    repeated = {tensor.name for tensor in inputs if [other.name for other in inputs].count(tensor.name) > 1}
    if repeated:
        raise UserError(f"Input '{repeated.pop()}' is given twice.")
    spec = ModelSpec(name, options.task or "other", inputs, labels=label_names(options.labels))
    return _with_sizes(with_preprocessing(spec, options.preprocess), options)


def _held(
    options: SourceOptions, how: Preprocessing | None, labels: tuple[str, ...] = (), *, with_texts: bool = False
) -> Held | None:
    """What the user's samples contain; None without samples. `labels` are those of the library."""
    if options.samples is None:
        return None
    return read_described(options.samples, options.labels, how, labels, with_texts=with_texts)


def _given(
    spec: ModelSpec, held: Held | None, settings: Settings, codes: Mapping[str, Stored] | None = None
) -> UserModel:
    """The model with the user's samples, or with generated ones."""
    if held is None:
        samples = generated(spec, count=_GENERATED_COUNT, seed=settings.seed)
        warning = "No samples were given: parity was checked on generated inputs."
        return UserModel(spec, samples, GENERATED, (warning,))
    return with_samples(spec, held, partial(_values, codes=codes or {}))


def _values(array: Array, name: str, codes: Mapping[str, Stored]) -> Array:
    """What an array of the user's means: codes of a quantized input are real numbers."""
    return values_of(array, name, codes[name]) if name in codes else array


def _with_sizes(spec: ModelSpec, options: SourceOptions) -> ModelSpec:
    sizes = parse_sizes(options.sizes)
    unknown = next((axis for axis in sizes if axis not in spec.free_axes), None)
    if unknown is not None:
        raise UserError(f"'{spec.name}' has no dynamic axis '{unknown}'.{nearest(unknown, spec.free_axes)}")
    return msgspec.structs.replace(spec, sizes={**spec.sizes, **sizes})
