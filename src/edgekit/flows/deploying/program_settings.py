"""What a deployed program knows of its model: the settings that travel with it, whatever its language."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.spec.input_kinds import ArrayInput, AudioInput, ImageInput, Preprocessing
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.documents import canonical
from edgekit.runtime.detection import input_size
from edgekit.runtime.preprocessing import is_raw

# 1: first version.
SETTINGS_SCHEMA: Final = 1
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
# A label or a name of a bundle from elsewhere may be of any length; nobody reads one that is longer.
_LONGEST: Final = 200


class ProgramTensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output of the file, in the type of the model; a size of 0 is dynamic."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class ProgramSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a program reads instead of a bundle.

    `example` is the file from which the self-test makes an input, or empty. `states` are inputs that begin with zeros.
    `detection` says what the outputs of a detector mean, for an input of `image_size`, height and width.
    """

    name: str
    task: str
    artifact: str
    format: str
    inputs: tuple[ProgramTensor, ...]
    outputs: tuple[ProgramTensor, ...]
    labels: tuple[str, ...]
    is_probability: bool
    is_raw: bool
    preprocessing: Preprocessing
    states: tuple[str, ...] = ()
    example: str = ""
    detection: DetectionOutput | None = None
    image_size: tuple[int, int] = (0, 0)
    schema_version: int = SETTINGS_SCHEMA

    def encoded(self) -> bytes:
        """The settings as JSON, in ASCII: equal settings give equal bytes."""
        return canonical(msgspec.to_builtins(self))


def settings_of(spec: ModelSpec, artifact: Artifact, example: str) -> ProgramSettings:
    """The settings of a program that runs `artifact`."""
    first = spec.outputs[0] if spec.outputs else None
    detection = _detection(spec, artifact)
    return ProgramSettings(
        name=printable(spec.name),
        task=printable(spec.task),
        artifact=printable(artifact.recipe),
        format=artifact.format,
        inputs=tuple(map(_tensor, artifact.inputs, spec.inputs)),
        outputs=tuple(map(_tensor, artifact.outputs, spec.outputs)),
        labels=tuple(map(printable, spec.labels)),
        is_probability=first is not None and (first.low, first.high) == (0.0, 1.0),
        is_raw=is_raw(spec),
        preprocessing=spec.preprocessing,
        states=tuple(spec.states.values()),
        example=example,
        detection=detection,
        image_size=input_size(spec) if detection else (0, 0),
    )


def _detection(spec: ModelSpec, artifact: Artifact) -> DetectionOutput | None:
    """The meaning of a detector's outputs, by their names in the file."""
    how = spec.postprocessing
    if not isinstance(how, DetectionOutput):
        return None
    stored = {wanted.name: one.name for wanted, one in zip(spec.outputs, artifact.outputs, strict=True)}
    return msgspec.structs.replace(how, boxes=stored.get(how.boxes, ""), scores=stored.get(how.scores, ""))


def printable(text: str) -> str:
    """`text` on one line, with a sign instead of each character that a terminal or a page would obey."""
    return "".join(one if one.isprintable() else _REPLACEMENT for one in text[:_LONGEST])


def described(settings: ProgramSettings) -> str:
    """What the program takes, for a person."""
    how = settings.preprocessing
    if isinstance(how, ImageInput):
        return f"an image, which becomes {how.width} x {how.height} pixels"
    if isinstance(how, AudioInput):
        return f"a wav file of {how.rate} Hz, 16 bit, mono, of which {how.length} values are used"
    if isinstance(how, ArrayInput):
        shapes = ", ".join(
            f"{one.dtype}[{','.join(str(size or 'any') for size in one.shape)}]" for one in settings.inputs
        )
        return f"arrays: {shapes}"
    return {"TextInput": "a text file with one sentence", "SeriesInput": "a csv file"}[type(how).__name__]


def _tensor(stored: TensorSpec, wanted: TensorSpec) -> ProgramTensor:
    """A tensor of the file as a program sees it: where the file stores integers, the backend converts them."""
    sizes = tuple(0 if isinstance(size, str) else size for size in stored.shape)
    return ProgramTensor(stored.name, wanted.dtype, sizes)
