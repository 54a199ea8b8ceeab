"""`edgekit run`: inference on files, with preprocessing and postprocessing, in this process or on a device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from edgekit.core.bundle import Artifact
from edgekit.core.errors import DeviceError, UserError
from edgekit.core.generated import generated
from edgekit.core.reports.run import Answer, ClassScore, Curve, DetectedObject, Keypoint, MaskShare, Rates, RunReport
from edgekit.core.samples import Array, Feed, read_arrays, read_outputs, write_arrays
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SeriesOutput
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.flows.describing.bare_files import described_by_user, refuse_undescribed, with_reading
from edgekit.flows.describing.description import Description
from edgekit.flows.opening.artifacts import Opened, feed_at, open_session, opened, opens
from edgekit.flows.opening.states import before_a_stream, continued
from edgekit.flows.opening.tuned import facts_here, tuned
from edgekit.flows.opening.values import in_rows, names_an_input, parse_values, with_values
from edgekit.flows.writing.answers import refuse_output, write_answers
from edgekit.runtime.backend import stored_codes
from edgekit.runtime.postprocessing import returns_text, write_text, writes_text
from edgekit.runtime.prediction import Prediction, feed_of, size_of
from edgekit.runtime.preprocessing import integers_as_reals
from edgekit.runtime.sequences.generation import MAX_TOKENS, Generated, generate

SAMPLE: Final = "sample:"
RANDOM: Final = "random:"
_SHORTEST_S: Final = 0.001


class _Ran(NamedTuple):
    """What ran every feed, and the outputs; `note` says how the tuning was used, or is empty."""

    artifact: Artifact
    provider: str
    outputs: list[Feed]
    note: str


def run(
    path: str | Path,
    *,
    input: Sequence[str | Path],
    target: str = "local",
    artifact: str = "",
    output: str | Path = "",
    sizes: Sequence[str] = (),
    state: Sequence[str] = (),
    stream: bool = False,
    prompt: Sequence[str] = (),
    max_tokens: int = MAX_TOKENS,
    explain: str | Path = "",
    against: str = "",
    labels: Path | None = None,
    preprocess: str = "",
    task: str = "",
    boxes: str = "",
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> RunReport:
    """Outputs of one artifact for each input.

    Args:
        path: A bundle, `.onnx` or `.tflite`.
        input: Files that the preprocessing of the model accepts (image, wav, csv, txt), `.npy` or `.npz`; a sentence,
            for a model that reads text; `sample:3`, the fourth sample of the bundle; `random:7`, values drawn from the
            ranges of the inputs with seed 7. `sr=16000` is the value of one input in all of them.
        target: A device with backend and options; on a device all inputs run in one launch.
        artifact: Recipe name or alias; if empty, the choice of `edgekit tune`, otherwise the first that opens.
        output: A file for the outputs: `.csv` for curves and scores, `.png` for images, `.txt` for sentences and
            labels, `.npz` for every output, `.json` for the returned document.
        sizes: Sizes of the dynamic axes of a bare file, e.g. `T=64`, for generated inputs.
        state: Pairs `OUTPUT=INPUT` of a streaming model; if empty, those of the bundle, or recognized by name and
            shape.
        stream: The inputs are the parts of one stream: each without a state of its own continues from the one before
            it, and the variables of a `.tflite` keep their values. Otherwise each begins with states of zeros.
        prompt: Beginnings of texts that a decoder with a cache continues, instead of inputs.
        max_tokens: How many tokens are added to each prompt at most.
        explain: A `.png` or `.npz` for the saliency of each input: what the prediction loses where it is hidden.
        against: A second artifact of the bundle, recipe name or alias, whose saliency is compared.
        labels: A file with the class names of a bare file, one per line; without `task` it is a classifier.
        preprocess: How an image or a sound becomes the input of a bare file, as in `edgekit build`.
        task: What the outputs of a bare file are: `classification`, `detection` or `segmentation`.
        boxes: What the values of a bare detector do not show of its boxes, e.g. `xyxy,pixels`.

    Raises:
        UserError: No input, or one that the model does not accept.
    """
    where = Target.parse(target)
    if against and not explain:
        raise UserError("--against names a second artifact for --explain.", hint=f"--explain --against {against}")
    said = Description(labels, preprocess, task, boxes)
    if prompt and said.options:
        raise UserError(f"{said.options[0]} describes a bare file with inputs; a prompt needs a bundle.")
    if prompt:
        return _continued(Path(path), prompt, max_tokens, where, artifact, has_inputs=bool(input or output))
    if not input:
        raise UserError("No input was given.", hint=f"edgekit run {path} --input sample:0")
    needs_samples = any(str(text).startswith((SAMPLE, RANDOM)) for text in input)
    with opened(Path(path), with_samples=needs_samples, sizes=sizes, states=state) as file:
        found = described_by_user(file, said) if said.options else file
        if found.bundle is None:
            refuse_undescribed(found, map(str, input))
        chosen = _openable(found, artifact, where)
        if output:
            refuse_output(Path(output), found.spec)
        if explain:
            _refuse_explaining(found, where, Path(explain), stream)
        where = _streaming(found, chosen, where) if stream else where
        texts, feeds = _given(found, [str(one) for one in input])
        run_all = partial(_run_here, stream=stream) if where.device == "local" else _run_there
        ran = run_all(found, chosen, where, feeds, progress)
        found, readings = with_reading(found, ran.outputs, said) if said.options else (found, ())
        report = RunReport(
            model=found.spec.name,
            artifact=ran.artifact.recipe,
            target=target,
            provider=ran.provider,
            answers=_answers(texts, feeds, ran.outputs, found.spec),
            written=str(output),
            notes=(*readings, *_notes(found.spec, feeds, stream), *filter(None, [ran.note])),
        )
        if output:
            write_answers(report, feeds, ran.outputs, found.spec, Path(output))
        if explain:
            compared = [ran.artifact, *(_openable(found, against, where)[:1] if against else ())]
            return _explained(
                report, found, compared, where, list(zip(texts, feeds, strict=True)), Path(explain), progress
            )
        return report


def _refuse_explaining(found: Opened, where: Target, path: Path, stream: bool) -> None:
    # Saliency is imported by commands that draw it only.
    from edgekit.flows.saliency.drawing import refuse_picture
    from edgekit.flows.saliency.maps import refuse_unexplainable

    refuse_picture(path)
    refuse_unexplainable(found.spec, where, is_stream=stream)


def _explained(
    report: RunReport,
    found: Opened,
    artifacts: Sequence[Artifact],
    where: Target,
    named: Sequence[tuple[str, Feed]],
    path: Path,
    progress: Progress,
) -> RunReport:
    """The report with the saliency of each input, which is written to `path`."""
    from edgekit.flows.saliency.drawing import write_saliency
    from edgekit.flows.saliency.maps import explained

    shown = explained(found, artifacts, where, named, progress)
    write_saliency(shown, found.spec, path)
    saliency = tuple(one.summary() for one in shown)
    return msgspec.structs.replace(report, saliency=saliency, explained=str(path))


def _continued(
    path: Path, prompts: Sequence[str], max_tokens: int, where: Target, artifact: str, *, has_inputs: bool
) -> RunReport:
    """What a decoder writes after each prompt, in this process."""
    if has_inputs:
        raise UserError("--prompt goes with neither --input nor --output.", hint=f"edgekit run {path} --prompt 'a man'")
    if where.device != "local":
        raise UserError("Text is generated only on this machine.", hint=f"edgekit run {path} --prompt TEXT")
    with opened(path, with_samples=False) as found:
        made, where, note = tuned(found, _openable(found, artifact, where), where, facts_here)
        with open_session(found, made, where) as session:
            texts = [generate(session.run, found.spec, prompt, max_tokens) for prompt in prompts]
            answers = tuple(_written(prompt, one) for prompt, one in zip(prompts, texts, strict=True))
            notes = tuple(filter(None, [note]))
            return RunReport(
                model=found.spec.name,
                artifact=made.recipe,
                target=str(where),
                provider=session.provider,
                answers=answers,
                notes=notes,
            )


def _written(prompt: str, one: Generated) -> Answer:
    rates = Rates(len(one.prompt), len(one.tokens), one.first_token_s, one.prefill_rate, one.decode_rate)
    return Answer(prompt, (), {"tokens": list(one.tokens)}, one.text, rates=rates)


def _openable(found: Opened, artifact: str, where: Target) -> list[Artifact]:
    """The artifacts that the target opens: those of one recipe, or all."""
    chosen = [one for one in found.chosen((artifact,) if artifact else ()) if opens(where, one)]
    if not chosen:
        raise UserError(f"Target '{where}' cannot open such an artifact of '{found.path}'.")
    return chosen


def _run_here(
    found: Opened,
    artifacts: Sequence[Artifact],
    where: Target,
    feeds: Sequence[Feed],
    progress: Progress,
    *,
    stream: bool,
) -> _Ran:
    """Every feed, in this process."""
    outputs: list[Feed] = []
    before = before_a_stream(found.spec)
    writes = writes_text(found.spec)
    artifact, where, note = tuned(found, artifacts, where, facts_here)
    with open_session(found, artifact, where) as session:
        for given in feeds:
            whole = with_values(given, found.spec, {name: one for name, one in before.items() if name not in given})
            feed = integers_as_reals(whole, session.inputs, stored_codes(session))
            outputs.append(write_text(session.run, feed, found.spec) if writes else session.run(feed))
            before = continued(outputs[-1], found.spec) if stream else before
            progress.step(len(outputs), len(feeds), artifact.recipe)
        return _Ran(artifact, session.provider, outputs, note)


def _run_there(
    found: Opened,
    artifacts: Sequence[Artifact],
    where: Target,
    feeds: Sequence[Feed],
    progress: Progress,
) -> _Ran:
    """Every feed, in one launch on the device."""
    # Transports and their engines, which runs here do not need.
    from edgekit.flows.measuring.cells import job_for
    from edgekit.flows.opening import devices

    if writes_text(found.spec):
        raise UserError(
            f"'{found.spec.name}' generates text one token at a time; that runs only on this machine.",
            hint=f"edgekit run {found.path} --target local",
        )
    starts = before_a_stream(found.spec)
    feeds = [
        with_values(feed, found.spec, {name: starts[name] for name in starts if name not in feed}) for feed in feeds
    ]
    with temporary_folder() as folder, devices.open_device(where.device) as device:
        given, answered = Path(folder) / "feeds.npz", Path(folder) / "outputs.npz"
        facts = device.facts()  # a device that is not there says so before anything is sent
        artifact, where, note = tuned(found, artifacts, where, lambda: facts)
        # Only the runner of the device knows whether a .tflite is quantized.
        quantized = [tensor.name for tensor in found.spec.inputs] if artifact.format == "tflite" else []
        sent = [integers_as_reals(feed, found.spec.inputs, quantized) for feed in feeds]
        write_arrays(given, {f"{row}:{name}": array for row, feed in enumerate(sent) for name, array in feed.items()})
        job = job_for(found, artifact, where, given, str(answered), _SHORTEST_S)
        result = device.measure(msgspec.structs.replace(job, min_values=1, max_values=1))
        outputs = read_outputs(answered, len(feeds), [one.name for one in found.spec.outputs], DeviceError)
        progress.step(len(feeds), len(feeds), artifact.recipe)
        return _Ran(artifact, result.provider, outputs, note)


def _streaming(found: Opened, artifacts: Sequence[Artifact], where: Target) -> Target:
    """The target on which variables of the file keep their values from run to run."""
    is_tflite = artifacts[0].format == "tflite"
    if not found.spec.states and not is_tflite:
        raise UserError(
            f"'{found.spec.name}' has no states that continue from one input to the next.",
            hint=f"edgekit run {found.path} --stream --state OUTPUT=INPUT",
        )
    if where.device != "local":
        raise UserError(
            "A stream runs only on this machine: each launch on a device begins with zeros.",
            hint=f"edgekit run {found.path} --stream --target local",
        )
    return (
        msgspec.structs.replace(where, options=tuple({"state": "keep", **dict(where.options)}.items()))
        if is_tflite
        else where
    )


def _notes(spec: ModelSpec, feeds: Sequence[Feed], stream: bool) -> tuple[str, ...]:
    """That inputs without a state of their own are not parts of one stream."""
    begun = [name for name in spec.states.values() if any(name not in feed for feed in feeds)]
    if stream or len(feeds) < 2 or not begun:
        return ()
    return (f"Each input began with {', '.join(begun)} of zeros; --stream continues from the input before.",)


def _given(found: Opened, input: Sequence[str]) -> tuple[list[str], list[Feed]]:
    """A feed for each input, with the text that names it; inputs such as `sr=16000` are values in all of them."""
    values = [text for text in input if names_an_input(text, found.spec)]
    texts = [text for text in input if text not in values]
    feeds = _feeds(found, texts, parse_values(values, found.spec))
    return _row_by_row(texts or [" ".join(values)], feeds, found.spec)


def _row_by_row(texts: Sequence[str], feeds: Sequence[Feed], spec: ModelSpec) -> tuple[list[str], list[Feed]]:
    """The feeds for a model with a fixed batch of 1: each row of a file is an input of its own, `batch.npy[3]`."""
    named: list[tuple[str, Feed]] = []
    for text, feed in zip(texts, feeds, strict=True):
        rows = in_rows(feed, spec)
        named += [(f"{text}[{row}]" if len(rows) > 1 else text, one) for row, one in enumerate(rows)]
    return [text for text, _ in named], [feed for _, feed in named]


def _feeds(found: Opened, texts: Sequence[str], values: Feed) -> list[Feed]:
    """A feed for each text, with the values in all of them; without the states of a stream that it does not have."""
    if not texts:
        return [with_values({}, found.spec, values)]
    return [with_values(_feed(text, found, values), found.spec, values) for text in texts]


def _feed(text: str, found: Opened, values: Feed) -> Feed:
    if text.startswith(SAMPLE):
        return feed_at(found.spec, found.samples, _number(text, SAMPLE, len(found.samples)))
    if text.startswith(RANDOM):
        seed = _number(text, RANDOM, 1 << 32)
        drawn = feed_at(found.spec, generated(found.spec, count=1, seed=seed), 0)
        return {name: array for name, array in drawn.items() if name not in found.spec.states.values()}
    return feed_of(text, _without(found.spec, Path(text), values))


def _without(spec: ModelSpec, path: Path, values: Feed) -> ModelSpec:
    """The spec of what a file has to contain: not what is given by name, nor a state that it lacks."""
    held = read_arrays(path, UserError) if path.suffix == ".npz" and path.is_file() and spec.states else {}
    left_out = {*values, *(name for name in spec.states.values() if name not in held)}
    if not left_out:
        return spec
    return msgspec.structs.replace(spec, inputs=tuple(one for one in spec.inputs if one.name not in left_out))


def _number(text: str, prefix: str, count: int) -> int:
    digits = text.removeprefix(prefix)
    if not digits.isdecimal() or int(digits) >= count:
        raise UserError(f"'{text}': expected {prefix}0 to {prefix}{count - 1}.")
    return int(digits)


def _answers(
    texts: Sequence[str], feeds: Sequence[Feed], outputs: Sequence[Feed], spec: ModelSpec
) -> tuple[Answer, ...]:
    rows = zip(texts, feeds, outputs, strict=True)
    return tuple(answer for text, feed, one in rows for answer in _answers_to(text, feed, one, spec))


def _answers_to(text: str, feed: Feed, outputs: Feed, spec: ModelSpec) -> list[Answer]:
    """One answer per sample where a person reads them: the third of 'batch.npy' is 'batch.npy:2'. Else one of all."""
    is_read = spec.scores_classes or spec.postprocessing is not None
    count = _batch(feed, spec) if is_read else 1
    if count == 1 or any(array.ndim == 0 or len(array) != count for array in outputs.values()):
        return [_answer(text, outputs, spec, size_of(text, spec))]
    rows = ({name: array[row : row + 1] for name, array in outputs.items()} for row in range(count))
    return [_answer(f"{text}:{row}", one, spec) for row, one in enumerate(rows)]


def _batch(feed: Feed, spec: ModelSpec) -> int:
    """The number of samples in a feed: the size of the first axis, where the inputs agree on it."""
    sizes = {len(feed[one.name]) for one in spec.inputs if one.name in feed and feed[one.name].ndim}
    return sizes.pop() if len(sizes) == 1 else 1


def _answer(text: str, outputs: Feed, spec: ModelSpec, size: tuple[int, int] | None = None) -> Answer:
    found, how = Prediction(outputs, spec, size), spec.postprocessing
    return Answer(
        text,
        tuple(ClassScore(label, probability) for label, probability in found.scores),
        {name: _listed(np.asarray(array)) for name, array in outputs.items()},
        found.text,
        Curve(how.name, how.step_s, tuple(found.curve.tolist()))
        if isinstance(how, SeriesOutput) and found.curve is not None
        else None,
        () if found.image is None else found.image.shape[:2],
        None if found.objects is None else tuple(DetectedObject(*one) for one in found.objects),
        None if found.classes is None else tuple(MaskShare(*one) for one in found.classes),
        is_text=returns_text(spec),
        points=None if found.points is None else tuple(Keypoint(*one) for one in found.points),
    )


def _listed(array: Array) -> list[Any]:
    """The values of an output as JSON has them: a complex number is its real and its imaginary part."""
    parts = np.stack([array.real, array.imag], axis=-1) if array.dtype.kind == "c" else array
    values: list[Any] = parts.tolist()
    return values
