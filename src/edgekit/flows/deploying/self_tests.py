"""The self-test of a deployed program: cases of the bundle with limits, and an example file with its input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgekit.core.bundle import CASES, Artifact, Bundle
from edgekit.core.errors import BundleUnreadable, ModelUnreadable, UserError, from_record
from edgekit.core.generated import generated
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import AudioInput, ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.devices.remote.array_records import packed
from edgekit.export.checking.cases import load_cases
from edgekit.export.checking.difference import Difference, Magnitude
from edgekit.export.checking.tolerance import NOISE_FACTOR, tolerance_of
from edgekit.flows.calls.given_files import wav_bytes
from edgekit.flows.opening.artifacts import feed_at
from edgekit.runtime.backends.file_kind import consistent
from edgekit.runtime.portable import runner
from edgekit.runtime.preprocessing import read_input

MOST_CASES: Final = 16
MOST_SAMPLES: Final = 4
MOST_BYTES: Final = 16 << 20
# On another processor, kernels of few bits round elsewhere: twice what is seen here, and 1 % of the output's range.
_ROOM: Final = 2.0
_ROUNDING: Final = 0.01


@dataclass(frozen=True)
class CheckedCase:
    """One case that the artifact ran here: inputs, the reference's outputs and the limits of the difference, in order.

    `difference` is the largest that was seen here, as a share of the output's range.
    """

    inputs: tuple[Any, ...]
    expected: tuple[Any, ...]
    limits: tuple[float, ...]
    difference: float


@dataclass(frozen=True)
class Example:
    """A file that the model takes, and the input that edgekit makes of it, as records."""

    name: str
    content: bytes
    expected: bytes


@dataclass(frozen=True)
class _Case:
    feed: Feed
    expected: Feed
    noise: Feed


def checked_cases(bundle: Bundle, artifact: Artifact) -> tuple[CheckedCase, ...]:
    """The cases of `bundle` that `artifact` runs in its backend here, the same way as on a device.

    Raises:
        MissingExtra: Its backend is not installed.
        ModelUnreadable: The artifact's outputs are not those of the bundle, or it does not run.
        UserError: It runs none of the cases.
    """
    file = bundle.file(artifact)
    session = _session(file, artifact)
    ran = []
    for case in _affordable(_cases(bundle)):
        with consistent(file, artifact.format):
            try:
                ran.append((case, session.run(case.feed)))
            except runner.Failure:
                continue  # a size that this file does not have
    if not ran:
        raise UserError(f"'{artifact.recipe}' runs none of the cases of the bundle.", hint="edgekit validate BUNDLE")
    for case, outputs in ran:
        _refuse_unfit(case, outputs, artifact, file)
    names = [tensor.name for tensor in artifact.outputs] if ran[0][0].expected else []
    spans = {name: Magnitude.of(_joined(case.expected[name] for case, _ in ran)).span for name in names}
    found = tuple(_checked(case, outputs, artifact, spans) for case, outputs in ran)
    _refuse_foreign(artifact, ran)
    return found


def records(cases: tuple[CheckedCase, ...]) -> bytes:
    """Cases as records with the keys `CASE:in:PLACE`, `CASE:out:PLACE` and `CASE:limit:PLACE`."""
    arrays: Feed = {}
    for number, case in enumerate(cases):
        arrays |= {f"{number}:in:{place}": array for place, array in enumerate(case.inputs)}
        arrays |= {f"{number}:out:{place}": array for place, array in enumerate(case.expected)}
        arrays |= {f"{number}:limit:{place}": np.array([limit]) for place, limit in enumerate(case.limits)}
    return packed(arrays)


def example(spec: ModelSpec) -> Example | None:
    """An example for models of images and of sound, None for others.

    Raises:
        MissingExtra: Pillow is not installed, and the model takes images.
    """
    if isinstance(spec.preprocessing, ImageInput):
        name, content = "example.ppm", _picture(*_sides(spec.preprocessing))
    elif isinstance(spec.preprocessing, AudioInput):
        name, content = "example.wav", _sound(spec.preprocessing)
    else:
        return None
    with temporary_folder() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        array = next(iter(read_input(path, spec).values()))
    # Steps of float32 in another order, far below one step of a pixel.
    limit = 1e-5 * max(1.0, float(np.abs(array).max()))
    return Example(name, content, packed({"0:in:0": array, "0:limit:0": np.array([limit])}))


def _session(path: Path, artifact: Artifact) -> Any:
    job = {"backend": "", "format": artifact.format, "artifact": str(path), "options": {}}
    try:
        return runner.open_session(job)
    except runner.Failure as failure:
        raise from_record(str(failure.document["error"]), str(failure), otherwise=ModelUnreadable) from failure


def _cases(bundle: Bundle) -> Iterator[_Case]:
    """Samples with their references, then the cases of other sizes; generated inputs where the bundle has neither."""
    spec, samples = bundle.spec, bundle.samples()
    names = [tensor.name for tensor in spec.outputs]
    for row in range(min(MOST_SAMPLES, len(samples)) if samples and samples.expected else 0):
        assert samples is not None
        rows = slice(row, row + 1) if spec.batch_axis else row
        yield _Case(feed_at(spec, samples, row), {name: np.asarray(samples.expected[name][rows]) for name in names}, {})
    for case in load_cases(bundle.root / CASES) if CASES in bundle.manifest.files else ():
        yield _Case(case.feed, case.expected, case.noise)
    if samples is None and CASES not in bundle.manifest.files:
        drawn = generated(spec, count=MOST_SAMPLES)
        yield from (_Case(feed_at(spec, drawn, row), {}, {}) for row in range(MOST_SAMPLES))


def _affordable(cases: Iterator[_Case]) -> Iterator[_Case]:
    """The first cases of plain finite numbers, within the limits of a self-test."""
    size = count = 0
    for case in cases:
        arrays = [*case.feed.values(), *case.expected.values()]
        size += sum(array.nbytes for array in arrays)
        if count and (size > MOST_BYTES or count == MOST_CASES):
            return
        if all(array.dtype.kind in "fiub" and np.isfinite(array).all() for array in arrays):
            count += 1
            yield case


def _refuse_unfit(case: _Case, outputs: Feed, artifact: Artifact, file: Path) -> None:
    """Raise if a case lacks what the artifact takes or returns, or has it in another shape."""
    for tensor in artifact.inputs:
        if tensor.name not in case.feed:
            raise BundleUnreadable(f"'{file}' takes '{tensor.name}', which the cases of the bundle do not have.")
    for tensor in artifact.outputs:
        found, wanted = outputs.get(tensor.name), (case.expected or outputs).get(tensor.name)
        if found is None or wanted is None or np.shape(found) != np.shape(wanted):
            raise BundleUnreadable(f"'{file}' does not return '{tensor.name}' as the cases of the bundle have it.")


def _checked(case: _Case, outputs: Feed, artifact: Artifact, spans: dict[str, float]) -> CheckedCase:
    expected = case.expected or outputs
    tolerance = tolerance_of(artifact.precision).difference or _ROUNDING
    limits, worst = [], 0.0
    for tensor in artifact.outputs:
        reference, name = np.asarray(expected[tensor.name]), tensor.name
        span = spans.get(name) or Magnitude.of(reference).span
        seen = Difference.between(reference, outputs[name]).largest
        noise = float(np.max(case.noise[name], initial=0.0)) if name in case.noise else 0.0
        limits.append(max(tolerance * span, NOISE_FACTOR * noise, _ROOM * seen))
        worst = max(worst, seen / span)
    inputs = tuple(case.feed[tensor.name] for tensor in artifact.inputs)
    return CheckedCase(inputs, tuple(expected[tensor.name] for tensor in artifact.outputs), tuple(limits), worst)


def _refuse_foreign(artifact: Artifact, ran: list[tuple[_Case, Feed]]) -> None:
    """Raise if the artifact's outputs are so far from the references that it cannot be this model."""
    least = tolerance_of(artifact.precision).gross_db
    for tensor in artifact.outputs:
        pairs = [(case.expected[tensor.name], got[tensor.name]) for case, got in ran if case.expected]
        if not pairs or pairs[0][0].dtype.kind != "f":
            continue
        expected, got = (_joined(side) for side in zip(*pairs, strict=True))
        power, noise = float(np.sum(expected**2)), float(np.sum((expected - got) ** 2))
        if noise > power * 10 ** (-least / 10) and noise > 0:
            raise ModelUnreadable(
                f"'{artifact.recipe}' does not reproduce the cases of its bundle: output '{tensor.name}' is beyond "
                f"{least:g} dB of noise.",
                hint="edgekit validate BUNDLE",
            )


def _joined(arrays: Any) -> Any:
    return np.concatenate([np.asarray(array, np.float64).reshape(-1) for array in arrays])


def _sides(how: ImageInput) -> tuple[int, int]:
    """Height and width of an example that is reduced, and more across than down.

    There every version of Pillow filters rows first; for other sizes newer ones filter columns first, and pixels differ
    by a few steps.
    """
    height, width = (how.resize * 2)[:2] if how.resize else (how.height, how.width)
    high = height + height // 8 + 1
    return high, max(width, high) + max(width // 2, height // 4) + 3


def _picture(height: int, width: int) -> bytes:
    """A binary PPM of shapes and noise: every step of resizing, cutting and normalising shows in it."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(rows / (3 + one) + columns / (9 - one)) for one in range(3)]
    noise = np.random.default_rng(0).integers(-37, 38, (height, width, 3))
    pixels = np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)
    return f"P6\n{width} {height}\n255\n".encode() + pixels.tobytes()


def _sound(how: AudioInput) -> bytes:
    """A wav file that is shorter than the model's input: the rest is filled with zeros."""
    values = np.random.default_rng(0).integers(-20_000, 20_000, max(1, 2 * how.length // 3))
    return wav_bytes(values.astype(np.int16), how.rate)
